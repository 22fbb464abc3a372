//go:build linux

package limits

import (
	"fmt"
	"testing"

	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/hollow"
)

const small = 128 << 20

func TestLimitMemoryOfTheCommandLine(t *testing.T) {
	t.Run("a layer of 1 GiB", func(t *testing.T) {
		source, image := hollow.Sparse(t, size[int64](1<<30, 1<<28), testbed.Options{})
		target := hollow.NewSink(t)
		to := testbed.Serve(t, target, testbed.Options{})
		dray(t, box{memory: small}, 0, "copy", source.Host+"/sparse:v1", to.Host+"/app:v1").figures("a layer of 1 GiB")
		if target.Bytes() != image.Bytes {
			t.Error(target.Bytes())
		}
	})
	source, target := testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{})
	t.Run("300 tags", func(t *testing.T) {
		for i := range size(300, 60) {
			testbed.Random(t, source, "tags/app", fmt.Sprint("v", i), testbed.RandomOptions{Layers: 2, Size: 1 << 20, Seed: uint64(i)})
		}
		dray(t, box{memory: small}, 0, "transfer", source.Host+"/tags/app", target.Host).figures("300 tags")
	})
	t.Run("an index", func(t *testing.T) {
		testbed.Index(t, source, "index/app", "v1", 60)
		dray(t, box{memory: small}, 0, "copy", source.Host+"/index/app:v1", target.Host+"/index/app:v1").figures("an index of 60 platforms")
	})
	t.Run("repositories", func(t *testing.T) {
		for i := range size(200, 40) {
			testbed.Random(t, source, fmt.Sprint("many/app", i), "v1", testbed.RandomOptions{Size: 1 << 18, Seed: uint64(i)})
		}
		dray(t, box{memory: small}, 0, "transfer", source.Host+"/many/", target.Host).figures("200 repositories")
	})
	t.Run("a bundle", func(t *testing.T) {
		p := dray(t, box{memory: small}, 0, "bundle", "create", "--transfer", source.Host+"/tags/", "-o", "all.tar")
		p.figures("a bundle of 300 tags")
		p = dray(t, box{memory: small, dir: p.cmd.Dir}, 0, "bundle", "load", "all.tar", target.Host+"/loaded/")
		p.figures("its load")
	})
}
