package gatekeeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/oci"
)

// names checks the repository of the image, before any request.
func (k *Keeper) names(_ context.Context, image *gate.Image) error {
	name := image.Name.Repo.String()
	for _, p := range k.Deny {
		switch matches, err := p.Match(name); {
		case err != nil:
			return k.refuse(image, err, "")
		case matches:
			found := fmt.Errorf("its repository is denied by %s", p)
			return k.refuse(image, found, "copy it from a repository that is not denied")
		}
	}
	if len(k.Allow) == 0 {
		return nil
	}
	for _, p := range k.Allow {
		switch matches, err := p.Match(name); {
		case err != nil:
			return k.refuse(image, err, "")
		case matches:
			return nil
		}
	}
	found := fmt.Errorf("its repository is not among those that are allowed: %s", strings.Join(texts(k.Allow), ", "))
	return k.refuse(image, found, "copy it from a repository that is allowed")
}

// referrers checks that documents of the required types refer to the image, or to one of those below it.
func (k *Keeper) referrers(ctx context.Context, image *gate.Image) error {
	if len(k.Referrers) == 0 {
		return nil
	}
	there, err := image.AttachedTypes(ctx)
	if err != nil {
		return k.unknown(image, err)
	}
	for _, want := range k.Gate.Referrers {
		if !slices.Contains(there, want) {
			others := "nothing refers to it"
			if len(there) > 0 {
				others = "what refers to it has the types " + strings.Join(there, ", ")
			}
			found := fmt.Errorf("no document of the type %s refers to it; %s", want, others)
			return k.refuse(image, found, "attach the document to the image at the source")
		}
	}
	return nil
}

// platforms checks that the image has the required platforms.
func (k *Keeper) platforms(ctx context.Context, image *gate.Image) error {
	if len(k.Platforms) == 0 {
		return nil
	}
	list, err := image.Platforms(ctx)
	if err != nil {
		return err
	}
	var there []string
	for _, p := range list {
		there = append(there, oci.PlatformString(&p))
	}
	for _, want := range k.Gate.Platforms {
		is := func(have string) bool {
			return have == want || strings.HasPrefix(have, want+"/") || strings.HasPrefix(have, want+":")
		}
		if slices.ContainsFunc(there, is) {
			continue
		}
		others := "it has no platform"
		if len(there) > 0 {
			others = "it has " + strings.Join(there, ", ")
		}
		if image.Moves.Digest != image.Root.Digest {
			found := fmt.Errorf("the part of it that is copied lacks the platform %s; %s", want, others)
			return k.refuse(image, found, "choose this platform, too, or copy all of them")
		}
		found := fmt.Errorf("it lacks the platform %s; %s", want, others)
		return k.refuse(image, found, "build the image for this platform, too")
	}
	return nil
}

// size checks how large the image is.
func (k *Keeper) size(ctx context.Context, image *gate.Image) error {
	if k.MaxSize == 0 {
		return nil
	}
	size, err := image.Size(ctx)
	if err != nil {
		return err
	}
	if size > k.MaxSize {
		found := fmt.Errorf("it has %d bytes; the limit is %d", size, k.MaxSize)
		return k.refuse(image, found, "make the image smaller, or raise max-size")
	}
	return nil
}

// age checks how long ago the image was built.
func (k *Keeper) age(ctx context.Context, image *gate.Image) error {
	if k.MinAge == 0 {
		return nil
	}
	built, err := image.Created(ctx)
	if err != nil {
		return err
	}
	if built.IsZero() {
		found := errors.New("its age is not known: " +
			"it has no creation time, or one that reproducible builds write, such as 1970-01-01")
		return k.refuse(image, found, "build it with a creation time, or use a gate without min-age for it")
	}
	ready := built.Add(k.MinAge)
	if time.Now().Before(ready) {
		found := fmt.Errorf("it was built at %s, less than %v ago", built.UTC().Format(time.RFC3339), k.MinAge)
		return k.refuse(image, found, "copy it after "+ready.UTC().Format(time.RFC3339))
	}
	return nil
}

func texts[T interface{ String() string }](list []T) []string {
	all := make([]string, len(list))
	for i, v := range list {
		all[i] = v.String()
	}
	return all
}
