//go:build linux

package limits

import (
	"fmt"
	"testing"
	"time"

	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/hollow"
)

// A tenth of a processor makes everything slow, and no limit of time that dray has may take that for a fault.
func TestLimitATenthOfAProcessor(t *testing.T) {
	source, image := hollow.Sparse(t, size[int64](256<<20, 16<<20), testbed.Options{})
	target := hollow.NewSink(t)
	to := testbed.Serve(t, target, testbed.Options{})
	p := dray(t, box{cpu: 10}, 0, "copy", source.Host+"/sparse:v1", to.Host+"/app:v1")
	if target.Bytes() != image.Bytes {
		t.Error(target.Bytes())
	}
	p.figures(fmt.Sprintf("copy of %d MiB with a tenth of a processor", image.Bytes>>20))

	many := testbed.Distribution(t, testbed.Options{})
	for i := range size(40, 4) {
		testbed.Random(t, many, fmt.Sprint("many/app", i), "v1", testbed.RandomOptions{Size: 1 << 20, Seed: uint64(i)})
	}
	p, addr := serve(t, box{cpu: 10}, map[string]string{"src": many.Host})
	figure(t, fmt.Sprintf("a server with a tenth of a processor is ready after %.1f s", time.Since(p.began).Seconds()))
	dray(t, box{}, 0, "transfer", "src/many/", "dray/copy/", "--server", "http://"+addr)
	if got := push(t, addr, noise(t, 1, size[int64](32<<20, 1<<20))); got != 201 {
		t.Error(got)
	}
	p.alive(addr)
	p.figures("a server with a tenth of a processor")
	p.stop()
}

func TestLimitOneProcessor(t *testing.T) {
	source, target := testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{})
	for i := range size(100, 10) {
		testbed.Random(t, source, fmt.Sprint("many/app", i), "v1", testbed.RandomOptions{Layers: 3, Size: 1 << 18, Seed: uint64(i)})
	}
	dray(t, box{env: []string{"GOMAXPROCS=1"}}, 0, "transfer", source.Host+"/many/", target.Host).figures("a transfer with one processor")
}
