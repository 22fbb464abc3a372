// Package estimate tells what a plan would cost: the bytes that it would copy, the requests that it would send, and
// the time that they take at least. It reads what the plan would read, and writes nothing.
package estimate

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/crew"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/internal/trim"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// Request holds the settings of an estimate.
type Request struct {
	Plan        *plan.Reader
	Rate        int64 // bytes per second of the network link; 0 means DefaultRate
	SourceLogin *credential.Login
	TargetLogin *credential.Login
}

// Plan adds up the bytes that a plan would copy and the requests that it would send.
func Plan(ctx context.Context, b *place.Base, req Request, obs event.Observer) (report.Estimate, error) {
	head := req.Plan.Header()
	e := &estimating{
		base:  b,
		whole: b.Begin(req.SourceLogin, req.TargetLogin, obs),
		with:  head.Referrers,
		sum: report.Estimate{
			Registries: map[string]report.RegistryEstimate{},
			Rate:       cmp.Or(req.Rate, report.DefaultRate),
		},
		bound:     map[string]map[oci.Digest]bool{},
		read:      map[oci.Digest]bool{},
		there:     map[string]map[oci.Digest]bool{},
		manifests: map[string]int{},
		along:     map[image]bool{},
	}
	w := crew.NewWorkers(ctx, crew.NewImages(b, 0).Count())
	err := crew.Groups(w.Ctx, req.Plan, func(g *crew.Group) error {
		return w.Start(func(ctx context.Context) error {
			for {
				steps, more := g.Next(ctx)
				e.countLookups(head.Verb, steps)
				if err := e.group(ctx, steps); err != nil || !more {
					return err
				}
			}
		})
	})
	err = cmp.Or(w.Wait(), err)
	if ctx.Err() != nil {
		err = &fault.Fault{Kind: fault.Canceled, Op: "estimate plan", Err: context.Cause(ctx)}
	}
	e.finish()
	return e.sum, err
}

// estimating is the state of one estimate.
type estimating struct {
	base  *place.Base
	whole *place.Session // what all repositories share; nothing is opened in it
	with  plan.Referrers // what travels with the images

	mu    sync.Mutex
	sum   report.Estimate
	bound map[string]map[oci.Digest]bool // by host and directory: blobs that an end will get, or has
	read  map[oci.Digest]bool            // documents that are counted: each is read once for all images
	there map[string]map[oci.Digest]bool // by host: images that a target of the plan has

	manifests map[string]int // by host: the writes that put a manifest
	along     map[image]bool // referrers that are counted: each goes to a target once
}

// image is one image that is copied to one repository.
type image struct {
	from   ref.Repo
	to     ref.Repo
	digest oci.Digest
	of     oci.Digest // the image at the source, if it is trimmed
	trim   plan.Trim
	choice int // of what travels with it
}

// countLookups adds the requests that check steps against both sides again: one for each name, or a
// listing, which counts as one page.
func (e *estimating) countLookups(verb string, steps []plan.Step) {
	e.mu.Lock()
	defer e.mu.Unlock()
	sources, targets := map[ref.Name]bool{}, map[ref.Name]bool{}
	for _, s := range steps {
		if s.Impossible() {
			continue
		}
		if s.From.Tag != "" {
			sources[s.From.Repo.Tagged(s.From.Tag)] = true
		}
		if verb != "tag" {
			targets[survey.TargetOf(s)] = true
		}
	}
	for _, names := range []map[ref.Name]bool{sources, targets} {
		of := map[ref.Repo]int{}
		for n := range names {
			of[n.Repo]++
		}
		for repo, n := range of {
			if tells, _ := e.base.ListsDigests(repo.Host); tells && n > survey.Handful {
				n = 1
			}
			e.addTo(repo, func(h *report.RegistryEstimate) { h.Reads += n })
		}
	}
}

// group adds up steps, one target repository at a time.
func (e *estimating) group(ctx context.Context, steps []plan.Step) error {
	e.mu.Lock()
	for _, s := range steps {
		if s.Action == plan.Skip && !s.To.IsLayout() {
			mark(e.there, s.To.Host, s.Digest())
		}
	}
	e.mu.Unlock()
	for _, one := range crew.By(steps, func(s plan.Step) ref.Repo { return s.To.Repo }) {
		if err := e.repository(ctx, one); ctx.Err() != nil {
			return context.Cause(ctx)
		} else if err != nil {
			e.unknown(one[0].To.Repo.String(), err)
		}
	}
	return nil
}

func (e *estimating) unknown(name string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.sum.Unknown) < report.MaxRetags {
		e.sum.Unknown = append(e.sum.Unknown, name+": "+err.Error())
	}
}

func (e *estimating) repository(ctx context.Context, steps []plan.Step) error {
	tags := map[image]int{}
	p := plan.Plan{Referrers: e.with, Steps: steps}
	choices := referrers.Choices(p)
	var images []image
	for _, s := range steps {
		if !s.Moves() {
			continue
		}
		choice := slices.IndexFunc(choices, p.ReferrersOf(s).Equal)
		i := image{s.From.Repo, s.To.Repo, s.Digest(), s.Origin(), s.Trim, choice}
		if tags[i]++; tags[i] == 1 {
			images = append(images, i)
		}
	}
	if len(images) == 0 {
		return nil
	}
	s := e.whole.Another()
	s.Looks = true
	defer s.Release()
	var target place.Repository // nil is a layout that does not exist yet
	var err error
	if to := images[0].to; !place.Absent(to) {
		if target, err = s.Target(ctx, to, layout.Read); err != nil {
			return err
		}
	}
	var mu sync.Mutex
	blobs := map[oci.Digest]oci.Descriptor{}
	sources := map[oci.Digest]ref.Repo{}
	find, asked := e.finders(s, choices, images)
	err = place.Each(ctx, place.Lookups, images, func(ctx context.Context, i image) error {
		docs, err := e.documents(ctx, s, i)
		if err != nil {
			return err
		}
		e.count(i, tags[i], docs)
		with, err := e.referrers(ctx, find[i.choice], s, i)
		if err != nil {
			return err
		}
		docs = append(docs, with...)
		mu.Lock()
		defer mu.Unlock()
		for _, doc := range docs {
			for _, b := range doc.Blobs {
				blobs[b.Digest], sources[b.Digest] = b, i.from
			}
		}
		return nil
	})
	e.mu.Lock()
	for host, t := range asked.Exchanged() {
		h := e.sum.Registries[host]
		h.Reads += t.Requests
		e.sum.Registries[host] = h
	}
	e.mu.Unlock()
	if err != nil || len(blobs) == 0 {
		return err
	}
	byDigest := func(a, b oci.Descriptor) int { return cmp.Compare(a.Digest, b.Digest) }
	needed := slices.SortedFunc(maps.Values(blobs), byDigest)
	missing := needed
	if target != nil {
		if missing, err = target.Missing(ctx, needed); err != nil {
			return fault.On(fault.Target, err)
		}
	}
	e.blobs(images[0].to, needed, missing, sources)
	return nil
}

// documents reads all documents of an image. It reads none if the image only gets another tag in
// the same repository.
func (e *estimating) documents(ctx context.Context, s *place.Session, i image) ([]oci.Document, error) {
	if i.from == i.to {
		return nil, nil
	}
	from, err := s.Source(ctx, i.from)
	if err != nil {
		return nil, err
	}
	seen := map[oci.Digest]bool{}
	var docs []oci.Document
	parents := map[oci.Digest]oci.Digest{}
	held := int64(0)
	for level := []oci.Descriptor{{Digest: i.digest}}; len(level) > 0; {
		var next []oci.Descriptor
		var err error
		if held, err = oci.Weigh(i.digest, held, level); err != nil {
			return nil, fault.On(fault.Source, err)
		}
		for _, d := range level {
			if seen[d.Digest] {
				continue
			}
			seen[d.Digest] = true
			doc, err := i.document(ctx, s, from, d.Digest)
			if parent, child := parents[d.Digest]; child && fault.Is(err, fault.NotFound) {
				err = oci.Lacks(i.from, parent, d, err)
			}
			if err != nil {
				return nil, fault.On(fault.Source, err)
			}
			docs = append(docs, doc)
			next = append(next, doc.Documents...)
			for _, child := range doc.Documents {
				parents[child.Digest] = doc.Digest
			}
		}
		level = next
	}
	return docs, nil
}

// document reads one of the documents of an image.
func (i image) document(
	ctx context.Context, s *place.Session, from place.Repository, d oci.Digest,
) (oci.Document, error) {
	if d == i.digest && i.trim.Partial() {
		return trim.Document(ctx, s.Documents, from, i.of, i.trim)
	}
	return s.Documents.Read(ctx, from, d)
}

// finders returns a Finder for each choice. They share the documents of s, and count their own requests: the run
// will send as many.
func (e *estimating) finders(
	s *place.Session, choices []plan.Referrers, images []image,
) (all []*referrers.Finder, asked *place.Traffic) {
	apart := s.Another()
	apart.Traffic = place.NewTraffic()
	for c, choice := range choices {
		f := referrers.New(apart, choice)
		f.Expect(func(yield func(ref.Repo) bool) {
			for _, i := range images {
				if i.choice == c && !yield(i.from) {
					return
				}
			}
		})
		all = append(all, f)
	}
	return all, apart.Traffic
}

// referrers reads and counts what refers to an image and travels with it.
func (e *estimating) referrers(
	ctx context.Context, find *referrers.Finder, s *place.Session, i image,
) (all []oci.Document, err error) {
	if i.from == i.to {
		return nil, nil
	}
	from, err := find.Source(ctx, i.from)
	if err != nil {
		return nil, err
	}
	levels, err := find.OfTrimmed(ctx, from, oci.Descriptor{Digest: i.digest}, i.of, i.trim)
	if err != nil {
		return nil, find.Unknown(err)
	}
	for _, r := range slices.Concat(levels...) {
		id := image{from: i.from, to: i.to, digest: r.Digest}
		docs, err := e.documents(ctx, s, id)
		if fault.Is(err, fault.NotFound) {
			continue // the source lists it, and does not have it
		}
		if err != nil {
			return nil, err
		}
		e.countReferrer(find, id, r, docs)
		all = append(all, docs...)
	}
	return all, nil
}

// countReferrer adds a referrer, which goes to a target once for all images.
func (e *estimating) countReferrer(find *referrers.Finder, i image, r plan.Referrer, docs []oci.Document) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.along[i] {
		return
	}
	e.along[i] = true
	e.sum.Referrers++
	e.sum.Documents += len(docs)
	for _, doc := range docs {
		if !e.read[doc.Digest] {
			e.read[doc.Digest] = true
			if !find.Choice().Selects() { // else the search has read and counted it
				e.addTo(i.from, func(h *report.RegistryEstimate) { h.Reads++ })
			}
		}
	}
	e.addTo(i.to, func(h *report.RegistryEstimate) {
		h.Writes += len(docs)
		if r.Tag != "" {
			h.Reads++ // the digest tag is looked at before it is set
		}
	})
	e.manifests[i.to.Host] += len(docs)
}

// count adds the documents and tags of an image. A document that several images contain is read
// once, and put with each. Putting the root also sets its first tag, so that
// tag costs no extra request.
func (e *estimating) count(i image, tags int, docs []oci.Document) {
	e.mu.Lock()
	defer e.mu.Unlock()
	reads := 0
	digests := []oci.Digest{i.digest}
	for _, doc := range docs {
		digests = append(digests, doc.Digest)
	}
	for _, d := range digests {
		if !e.read[d] {
			e.read[d] = true
			reads++
		}
	}
	e.sum.Images++
	e.sum.Tags += tags
	e.sum.Documents += max(len(docs), 1)
	e.addTo(i.from, func(h *report.RegistryEstimate) {
		h.Reads += reads
		if i.from.Host == ref.DockerHub {
			h.Pulls += reads
		}
	})
	writes := max(len(docs), 1) + tags - 1
	e.addTo(i.to, func(h *report.RegistryEstimate) { h.Writes += writes })
	e.manifests[i.to.Host] += writes
	if !e.there[i.to.Host][i.digest] {
		return
	}
	for _, doc := range docs {
		for _, b := range doc.Blobs {
			mark(e.bound, i.to.Host+i.to.Dir, b.Digest)
		}
	}
}

// mark adds a digest to those of a host.
func mark(all map[string]map[oci.Digest]bool, host string, d oci.Digest) {
	if all[host] == nil {
		all[host] = map[oci.Digest]bool{}
	}
	all[host][d] = true
}

// addTo adds requests to the registry of repo. A layout receives no requests.
func (e *estimating) addTo(repo ref.Repo, add func(*report.RegistryEstimate)) {
	if repo.IsLayout() {
		return
	}
	h := e.sum.Registries[repo.Host]
	add(&h)
	e.sum.Registries[repo.Host] = h
}

// blobs adds up what happens to the blobs of one target repository. If several repositories of a
// registry lack a blob, it is sent to the first and mounted in the others. The repositories of a layout share it.
func (e *estimating) blobs(to ref.Repo, needed, missing []oci.Descriptor, sources map[oci.Digest]ref.Repo) {
	e.mu.Lock()
	defer e.mu.Unlock()
	bound := e.bound[to.Host+to.Dir]
	if bound == nil {
		bound = map[oci.Digest]bool{}
		e.bound[to.Host+to.Dir] = bound
	}
	lacks := map[oci.Digest]bool{}
	for _, b := range missing {
		lacks[b.Digest] = true
	}
	e.sum.Blobs += len(needed)
	if len(missing) < len(needed) {
		e.addTo(to, func(h *report.RegistryEstimate) { h.Reads += len(needed) }) // each blob is asked for
	}
	for _, b := range needed {
		from := sources[b.Digest]
		switch {
		case !lacks[b.Digest], bound[b.Digest] && to.IsLayout():
			e.sum.Present++
			e.sum.Saved += b.Size
		case bound[b.Digest], from.Host == to.Host && !to.IsLayout():
			e.sum.Mounted++
			e.sum.Saved += b.Size
			e.addTo(to, func(h *report.RegistryEstimate) { h.Writes++ })
		default:
			e.sum.Sent++
			e.sum.Bytes += b.Size
			e.addTo(from, func(h *report.RegistryEstimate) { h.Reads++; h.Received += b.Size })
			e.addTo(to, func(h *report.RegistryEstimate) { h.Writes += 2; h.Sent += b.Size })
		}
		bound[b.Digest] = true
	}
}

// finish computes the minimum duration: the longer of the time for the bytes over the link and the
// time that the known rate limit of each registry requires. All of these run in parallel.
func (e *estimating) finish() {
	slices.Sort(e.sum.Unknown)
	e.sum.Time = time.Duration(float64(e.sum.Bytes) / float64(e.sum.Rate) * float64(time.Second))
	for host, h := range e.sum.Registries {
		for _, a := range e.base.Remote.Allowances(host) {
			h.Limits = append(h.Limits, a.String())
			h.AtLeast = max(h.AtLeast, time.Duration(float64(e.counted(host, a.Class))/a.N*float64(a.Per)))
		}
		if b, known := e.base.Remote.Budget(host); known && b.Limit > 0 {
			h.Limits = append(h.Limits, fmt.Sprintf("%d pulls in %s, %d left", b.Limit, b.Window, b.Remaining))
		}
		e.sum.Registries[host] = h
		e.sum.Time = max(e.sum.Time, h.AtLeast)
	}
}

// counted returns how many of the requests to a registry fall under the rate limit class.
func (e *estimating) counted(host string, class credential.Class) int {
	h := e.sum.Registries[host]
	switch class {
	case credential.Reads:
		return h.Reads
	case credential.Writes:
		return h.Writes
	case credential.Manifests:
		return e.manifests[host]
	}
	return h.Reads + h.Writes
}
