package listing_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/drayage/dray/internal/survey/listing"
	"github.com/drayage/dray/oci"
)

// A list returns what was added, in the order of names, whatever is known of each tag.
func TestAListKeepsWhatWasAdded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, want := listing.New(listing.WithTimes), map[string]oci.Listed{}
		for range rapid.IntRange(0, 3000).Draw(t, "n") {
			one := oci.Listed{Tag: rapid.StringMatching(`[a-z0-9]{1,6}`).Draw(t, "tag")}
			if _, known := want[one.Tag]; known {
				continue
			}
			switch rapid.IntRange(0, 3).Draw(t, "digest") {
			case 0:
				one.Descriptor = oci.Descriptor{Digest: oci.Sum([]byte(one.Tag))}
			case 1:
				one.Descriptor = oci.Descriptor{Digest: oci.Sum([]byte(one.Tag)), MediaType: oci.TypeIndex, Size: 7}
			case 2:
				one.Descriptor = oci.Descriptor{Digest: oci.Digest("sha512:" + one.Tag), Size: 9}
			}
			if rapid.Bool().Draw(t, "time") {
				one.Updated = time.Unix(int64(len(want)), 5).UTC()
			}
			want[one.Tag] = one
			l.Add(one)
		}
		l.Sort()
		var tags []string
		for tag := range want {
			tags = append(tags, tag)
		}
		slices.Sort(tags)
		if l.Len() != len(tags) {
			t.Fatalf("%d tags, want %d", l.Len(), len(tags))
		}
		for i, tag := range tags {
			got, w := l.At(i), want[tag]
			if got.Tag != tag || got.Updated != w.Updated || got.Descriptor.Digest != w.Descriptor.Digest ||
				got.Descriptor.Size != w.Descriptor.Size || got.Descriptor.MediaType != w.Descriptor.MediaType {
				t.Fatalf("%+v, want %+v", got, w)
			}
			if at, found := l.Find(tag); !found || at != i {
				t.Fatalf("%s is at %d, %v, want %d", tag, at, found, i)
			}
		}
	})
}
