//go:build linux

package limits

import (
	"fmt"
	"testing"

	"github.com/drayage/dray/internal/testbed"
)

func TestLimitDescriptorsOfTheCommandLine(t *testing.T) {
	source, target := testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{})
	image := testbed.Random(t, source, "one/app", "v1", testbed.RandomOptions{Layers: 12, Size: 1 << 20, Seed: 1})
	testbed.Index(t, source, "index/app", "v1", 40)
	for i := range size(200, 40) {
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
	_ = image
}
