package remote_test

import (
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
)

func TestF58AManifestThatArrivesDamagedIsReadOnceMore(t *testing.T) {
	for name, damage := range map[string]func() *hostile.Fault{
		"cut in good order": func() *hostile.Fault { return hostile.CleanEOFAt(100) },
		"empty":             func() *hostile.Fault { return hostile.CleanEOFAt(0) },
		"a flipped bit":     func() *hostile.Fault { return hostile.FlipBit(30) },
	} {
		t.Run(name, func(t *testing.T) {
			once, always := damage().On("GET", testbed.Manifest).Once(), damage().On("GET", testbed.Manifest)
			bubble(t, []*hostile.Fault{once}, func(b *bench) {
				img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
				for _, reference := range []string{img.Digest(), "v1"} {
					doc, err := b.repo.Document(b.Context(), reference)
					must(b, err)
					if doc.Digest != img.Root.Digest {
						b.Errorf("read %s, want %s", doc.Digest, img.Root.Digest)
					}
				}
				b.count("GET", testbed.Manifest, 3)
			})
			bubble(t, []*hostile.Fault{always}, func(b *bench) {
				img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
				_, err := b.repo.Document(b.Context(), img.Digest())
				wantKind(b, err, fault.Corrupt)
				b.count("GET", testbed.Manifest, 2)
			})
		})
	}
}

func TestF08AManifestThatIsReadByTagAndEndsEarlyIsReadOnceMore(t *testing.T) {
	cut := hostile.CleanEOFAt(100).On("GET", testbed.Manifest).Once()
	bubble(t, []*hostile.Fault{cut}, func(b *bench) {
		img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
		doc, err := b.repo.Document(b.Context(), "v1")
		must(b, err)
		if doc.Digest != img.Root.Digest {
			b.Errorf("read %s, want %s", doc.Digest, img.Root.Digest)
		}
	})
}
