package landing

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/oci"
)

// findTimes fills in the creation time of the candidates for which the listing has no time. The
// time is that of the image's configuration. Each image is read once, and its time is remembered
// for later runs. The documents that are read are kept for the copy. An image without a time, or
// one that cannot be read, keeps no time.
func (k *Landing) findTimes(ctx context.Context, s listed, candidates []int32) error {
	at := slices.DeleteFunc(slices.Clone(candidates), func(i int32) bool { return !s.tags.Time(int(i)).IsZero() })
	if len(at) == 0 {
		return nil
	}
	var mu sync.Mutex
	times := map[oci.Digest]func() time.Time{}
	known, news := k.Base.Times.Of(s.at.Repo()), map[oci.Digest]time.Time{}
	err := place.Each(ctx, survey.MaxLookups, at, func(ctx context.Context, i int32) error {
		done, err := k.acquireLookup(ctx, fault.Source)
		if err != nil {
			return err
		}
		defer done()
		mu.Lock()
		tag, digest := s.tags.Tag(int(i)), s.tags.Descriptor(int(i)).Digest
		mu.Unlock()
		if digest == "" {
			desc, err := s.at.Resolve(ctx, tag)
			if err != nil {
				return context.Cause(ctx) // if the tag is selected, it is looked up again, and then an error counts
			}
			digest = desc.Digest
			mu.Lock()
			s.tags.Set(int(i), desc)
			mu.Unlock()
		}
		mu.Lock()
		made := times[digest]
		if when, told := known[digest]; told {
			s.tags.SetTime(int(i), when)
			mu.Unlock()
			return nil
		}
		if made == nil {
			made = sync.OnceValue(func() time.Time { return k.creationTime(ctx, s.at, digest) })
			times[digest] = made
		}
		mu.Unlock()
		when := made()
		mu.Lock()
		defer mu.Unlock()
		if s.tags.SetTime(int(i), when); !when.IsZero() {
			news[digest] = when
		}
		return context.Cause(ctx)
	})
	_ = k.Base.Times.Note(s.at.Repo(), news) // a time that cannot be remembered is read again
	return err
}

// creationTime reads the creation time of an image. For an index it is that of the first image.
func (k *Landing) creationTime(ctx context.Context, at place.Repository, digest oci.Digest) time.Time {
	documents := k.Into.Session.Documents
	doc, err := documents.Read(ctx, at, digest)
	if err != nil {
		return time.Time{}
	}
	if doc.IsIndex() && len(doc.Documents) > 0 {
		if doc, err = documents.Read(ctx, at, doc.Documents[0].Digest); err != nil {
			return time.Time{}
		}
	}
	if doc.Config == nil {
		return time.Time{}
	}
	raw, err := place.ReadSmall(ctx, at, *doc.Config)
	if err != nil {
		return time.Time{}
	}
	var config v1.Image
	if json.Unmarshal(raw, &config) != nil || config.Created == nil {
		return time.Time{}
	}
	return *config.Created
}
