package push

import (
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/remote/product"
)

func TestPiecesFollowTheDialect(t *testing.T) {
	for name, c := range map[string]struct {
		host string
		set  credential.Settings
		want int64
	}{
		"plain": {"registry.example", credential.Settings{}, 0}, "asked for": {"registry.example", credential.Settings{ChunkSize: 5}, 5},
		"ghcr takes 4 MiB": {"ghcr.io", credential.Settings{ChunkSize: 64 << 20}, 4 << 20}, "ecr wants 5": {"1.dkr.ecr.eu-west-1.amazonaws.com", credential.Settings{ChunkSize: 1}, 5 << 20},
		"gar takes none": {"europe-docker.pkg.dev", credential.Settings{ChunkSize: 64 << 20}, 0}, "by kind": {"registry.example", credential.Settings{Kind: "ghcr", ChunkSize: 64 << 20}, 4 << 20},
	} {
		m := NewLessons(product.DialectOf(c.host, c.set))
		if got := m.chunkSize(0); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func FuzzUploadRange(f *testing.F) {
	f.Add("0-99")
	f.Add("bytes=0-0")
	f.Add("0-9223372036854775807")
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := parseUploadRange(s); ok && n <= 0 {
			t.Errorf("%q is %d bytes", s, n)
		}
	})
}
