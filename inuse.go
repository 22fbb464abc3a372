package dray

import (
	"context"
	"fmt"
	"slices"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// InUseReport says what becomes of the images that are in use somewhere.
type InUseReport struct {
	Images    int    `json:"images"`              // that are in use and at the sources' registries
	Elsewhere int    `json:"elsewhere,omitempty"` // in use, and at other registries: none of this run's business
	Lost      []Lost `json:"lost,omitempty"`      // of Images, those that are not brought
}

// Lost is an image that is in use, and that no step brings.
type Lost struct {
	Image ref.Name `json:"image"`
	Why   string   `json:"why"`
}

// running follows what becomes of the images in use.
type running struct {
	images    []ref.Name
	elsewhere int
	looked    map[ref.Repo]bool // sources that were looked at
	found     map[ref.Name]bool
}

// follow begins with the images of the request that are at its sources.
func (r *transferring) follow() error {
	if len(r.req.InUse.Images) == 0 {
		return nil
	}
	sources, _, err := r.ends()
	if err != nil {
		return err
	}
	r.running = &running{looked: map[ref.Repo]bool{}, found: map[ref.Name]bool{}}
	for _, n := range r.req.InUse.Images {
		if slices.ContainsFunc(sources, func(s reach) bool { return s.Host == n.Host }) {
			r.running.images = append(r.running.images, n)
		} else {
			r.running.elsewhere++
		}
	}
	if len(r.running.images) == 0 {
		r.report.note("none of the %d images in use is at a source", r.running.elsewhere)
	}
	if n := r.req.InUse.Local; n > 0 {
		r.report.note("%d images in use are known by an ID of their node only: their names count, where they are there", n)
	}
	return nil
}

// see takes a repository's plan in.
func (u *running) see(from []ref.Repo, steps []plan.Step) {
	if u == nil {
		return
	}
	for _, repo := range from {
		u.looked[repo] = true
	}
	for _, s := range steps {
		if s.Action != plan.Broken {
			u.brought(s.From)
		}
	}
}

// brought takes in a name with its tag, its digest or both.
func (u *running) brought(n ref.Name) {
	if u == nil {
		return
	}
	u.found[n.Repo.At(n.Digest)] = true
	if n.Tag != "" {
		u.found[n.Repo.Tagged(n.Tag)] = true
	}
}

// end says what is lost.
func (u *running) end() *InUseReport {
	if u == nil {
		return nil
	}
	rep := &InUseReport{Images: len(u.images), Elsewhere: u.elsewhere}
	for _, n := range u.images {
		switch {
		case u.found[n]:
		case !u.looked[n.Repo]:
			rep.Lost = append(rep.Lost, Lost{n, "its repository is not selected, or not there"})
		case n.Tag != "":
			rep.Lost = append(rep.Lost, Lost{n, "its tag is not selected, or not there"})
		default:
			rep.Lost = append(rep.Lost, Lost{n, "it is not at the source"})
		}
	}
	return rep
}

// findDigests asks for the digests of the tags that may be in use and that the listing does not tell.
func (k *looking) findDigests(ctx context.Context, s listing, candidates []oci.Listed) error {
	open := map[ref.Name]bool{}
	var names []ref.Name
	for _, t := range candidates {
		if n := s.at.Repo().Tagged(t.Tag); t.Descriptor.Digest == "" && !open[n] {
			open[n] = true
			names = append(names, n)
		}
	}
	// What can not be asked for is asked for again once it is selected, and then it counts.
	found, _, err := k.resolve(ctx, fault.Source, names, func(ref.Name) place { return s.at })
	for i, t := range s.tags {
		if d, ok := found[s.at.Repo().Tagged(t.Tag)]; ok {
			s.tags[i].Descriptor = d
		}
	}
	return err
}

// said is how a Lost reads.
func (l Lost) String() string { return fmt.Sprintf("%s: %s", l.Image, l.Why) }
