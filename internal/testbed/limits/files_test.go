//go:build linux

package limits

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/drayage/dray/internal/testbed"
)

func TestLimitDescriptorsOfTheCommandLine(t *testing.T) {
	source, target := testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, source, "one/app", "v1", testbed.RandomOptions{Layers: 12, Size: 1 << 20, Seed: 1})
	testbed.Index(t, source, "index/app", "v1", 40)
	for i := range size(200, 10) {
		for n := range 3 {
			testbed.Random(t, source, fmt.Sprint("many/app", i), fmt.Sprint("v", n), testbed.RandomOptions{Layers: 3, Size: 1 << 16, Seed: uint64(i*3 + n)})
		}
	}
	for _, files := range []int{24, 64} {
		to := fmt.Sprintf("%s/with%d", target.Host, files)
		for _, tt := range []struct {
			name string
			args []string
		}{
			{"import", []string{"import", "--name", target.Host, "--source", source.Host + "/one/app:v1", "--image", fmt.Sprintf("with%d/app:v1", files)}},
			{"copy of an index", []string{"copy", source.Host + "/index/app:v1", to + "/index:v1"}},
			{"transfer", []string{"transfer", source.Host + "/many/", to + "/many/"}},
			{"bundle", []string{"bundle", "create", "--transfer", source.Host + "/many/", "-o", "all.tar"}},
			{"layout", []string{"transfer", source.Host + "/many/", "oci:all/"}},
			{"verify", []string{"verify", "--deep", source.Host + "/many/", to + "/many/"}},
		} {
			t.Run(fmt.Sprint(tt.name, " with ", files), func(t *testing.T) {
				dray(t, box{files: files}, 0, tt.args...).figures(fmt.Sprint(tt.name, " with ", files))
			})
		}
	}
}

func TestLimitDescriptorsOfAServer(t *testing.T) {
	p := start(t, box{files: 24}, "drayd", "serve", "--listen", "127.0.0.1:0", "--data", "data")
	said := func() string { return strings.TrimSpace(p.err.String()) }
	if code := p.wait(); code != 2 || strings.Contains(said(), "\n") || !strings.Contains(said(), "24 files") || !strings.Contains(said(), "LimitNOFILE") {
		t.Errorf("%d %s", code, said())
	}
	figure(t, "a server with 24: "+said())

	source := testbed.Distribution(t, testbed.Options{})
	for i := range size(60, 15) {
		testbed.Random(t, source, fmt.Sprint("many/app", i), "v1", testbed.RandomOptions{Layers: 3, Size: 1 << 16, Seed: uint64(i)})
	}
	p, addr := serve(t, box{files: 64}, map[string]string{"src": source.Host})
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			for n := range 4 {
				if got := push(t, addr, bytes.Repeat([]byte(fmt.Sprint(i, " ", n, " ")), 20_000)); got != 201 {
					t.Error(got)
				}
			}
		})
	}
	for i := range 2 {
		all.Go(func() {
			dray(t, box{}, 0, "transfer", "src/many/", fmt.Sprintf("dray/copy%d/", i), "--server", "http://"+addr)
		})
	}
	all.Wait()
	p.alive(addr)
	p.figures("a server with 64, 40 clients and 2 transfers")
	p.stop()
}
