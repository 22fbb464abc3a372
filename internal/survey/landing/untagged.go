package landing

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// addByDigest adds to src and dst what is copied by digest.
func (k *Landing) addByDigest(
	ctx context.Context, src, dst plan.Inventory, lost map[ref.Name]error,
) (broken []plan.Step, err error) {
	if !k.copiesByDigest() {
		return nil, nil
	}
	if k.from.byDigest == nil {
		found := map[ref.Repo]*byDigest{}
		for _, from := range k.Of.From {
			l, err := k.findByDigest(ctx, from, src)
			if err != nil {
				k.setTroubled(from)
				return nil, fault.On(fault.Source, err)
			}
			found[from] = l
		}
		k.from.byDigest = found
	}
	for _, from := range k.Of.From {
		l := k.from.byDigest[from]
		for _, n := range slices.SortedFunc(maps.Keys(l.broken), ref.Name.Compare) {
			broken = append(broken, brokenStep(n, k.Of.To.Tagged(""), l.broken[n]))
		}
		if err := k.addFrom(ctx, from, src, dst, lost); err != nil {
			return nil, err
		}
	}
	return broken, nil
}

// copiesByDigest reports whether anything may be copied by digest.
func (k *Landing) copiesByDigest() bool {
	return k.Selection.Untagged || len(k.InUse.Images) > 0 || slices.ContainsFunc(k.Of.From, k.takesNameless)
}

// takesNameless reports whether the images without a name in from are copied: all that are in an end on disk, unless
// the request chooses by tags or by what is in use.
func (k *Landing) takesNameless(from ref.Repo) bool {
	chooses := k.Selection.ChoosesTags() || len(k.InUse.Images) > 0
	return from.IsLayout() && from.Path == "" && (k.Selection.Untagged || !chooses)
}

// findNameless adds the images without a name to l.
func (k *Landing) findNameless(ctx context.Context, from ref.Repo, l *byDigest) error {
	at, err := k.Into.Session.OnDisk(ctx, from)
	if err != nil {
		return err
	}
	all, err := at.Nameless(ctx)
	for _, d := range all {
		l.manifests = append(l.manifests, oci.Listed{Descriptor: d})
		k.idle.Part()
	}
	if err == nil {
		l.manifests, _, err = k.Selection.Loose(ctx, cmp.Or(from.Path, from.Dir), l.manifests)
	}
	return err
}

func (k *Landing) findByDigest(ctx context.Context, from ref.Repo, src plan.Inventory) (*byDigest, error) {
	l := &byDigest{}
	if running := k.InUse.Of(from); running != nil {
		tagged := map[oci.Digest]bool{}
		for n, desc := range src {
			tagged[desc.Digest] = tagged[desc.Digest] || n.Repo == from
		}
		var names []ref.Name
		for d := range running.Digests {
			if !tagged[d] {
				names = append(names, from.At(string(d)))
			}
		}
		at, err := k.Into.Session.Source(ctx, from)
		if err != nil {
			return nil, err
		}
		l.running, l.broken, err = k.resolve(ctx, fault.Source, names, func(ref.Name) place.Repository { return at })
		if err != nil {
			return nil, err
		}
	}
	if k.takesNameless(from) {
		return l, k.findNameless(ctx, from, l)
	}
	if !k.Selection.Untagged || from.IsLayout() {
		return l, nil
	}
	told, err := false, error(nil)
	if k.Base.Elsewhere(from) {
		told, err = k.Into.Session.Own(fault.Source, from, remote.Pull).Every(ctx, func(m remote.Manifest) error {
			if len(m.Tags) == 0 {
				l.manifests = append(l.manifests,
					oci.Listed{Descriptor: m.Descriptor, Created: m.Created, Updated: m.Updated})
			}
			if !k.from.lists[m.Digest] && (m.MediaType == "" || (oci.Document{Descriptor: m.Descriptor}).IsIndex()) {
				l.parents = append(l.parents, m.Descriptor)
			}
			return nil
		})
	}
	if err != nil && k.Cataloged[from] && k.Base.IsAbsent(from, err) {
		return l, nil // listing its tags has found that it has none
	}
	if err == nil && !told {
		k.Into.Notes = append(k.Into.Notes, fmt.Sprintf(
			"%s lists tags only: manifests of %s without a tag cannot be found and are not copied", from.Host, from))
	}
	kept, why, stop := k.Selection.Loose(ctx, cmp.Or(from.Path, from.Dir), l.manifests)
	if l.manifests = kept; told && k.Explained {
		k.Into.Explains = append(k.Into.Explains, why)
	}
	return l, cmp.Or(err, stop)
}

// addFrom adds what one source has to copy by digest. A manifest that an index names is copied with
// that index.
func (k *Landing) addFrom(ctx context.Context, from ref.Repo, src, dst plan.Inventory, lost map[ref.Name]error) error {
	l := k.from.byDigest[from]
	wanted := maps.Clone(l.running)
	if wanted == nil {
		wanted = plan.Inventory{}
	}
	for _, m := range l.manifests {
		wanted[from.At(string(m.Descriptor.Digest))] = m.Descriptor
	}
	held, err := k.heldByDigest(ctx, wanted, lost)
	if err != nil {
		return err
	}
	here := map[oci.Digest]bool{} // digests that the target has
	for _, desc := range dst {
		here[desc.Digest] = true
	}
	maps.Copy(dst, held)
	lacking := plan.Inventory{}
	for n, desc := range wanted {
		if to := k.Of.To.At(n.Digest); held[to].Digest != "" {
			here[desc.Digest] = true
			src[n] = desc
		} else {
			lacking[n] = desc
		}
	}
	parents := slices.DeleteFunc(slices.Clone(l.parents), func(d oci.Descriptor) bool { return here[d.Digest] })
	children, err := k.children(ctx, from, lacking, parents)
	if err != nil {
		return err
	}
	for n, desc := range lacking {
		if _, runs := l.running[n]; runs || !children[desc.Digest] {
			src[n] = desc
		}
	}
	return nil
}

// heldByDigest finds out which of the wanted digests the target has. If many are wanted and the
// registry lists manifests, it reads that list. Otherwise it asks one by one.
func (k *Landing) heldByDigest(
	ctx context.Context, wanted plan.Inventory, lost map[ref.Name]error,
) (plan.Inventory, error) {
	to, held := k.Of.To, plan.Inventory{}
	if len(wanted) > survey.Handful && k.Base.Elsewhere(to) {
		told, err := k.Into.Session.Own(fault.Target, to, remote.Pull).Every(ctx, func(m remote.Manifest) error {
			held[to.At(string(m.Digest))] = m.Descriptor
			return nil
		})
		if err == nil && told || fault.Is(err, fault.NotFound) {
			return held, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		clear(held) // the single requests below will report the error
	}
	if place.Absent(to) {
		return held, nil
	}
	var names []ref.Name
	for n := range wanted {
		names = append(names, to.At(n.Digest))
	}
	at, err := k.Into.Session.Target(ctx, to, layout.Read)
	if err != nil {
		return nil, err
	}
	held, broken, err := k.resolve(ctx, fault.Target, names, func(ref.Name) place.Repository { return at })
	maps.Copy(lost, broken)
	return held, err
}

// children reads the parents, if lacking is not empty, and returns the digests that they name. A
// parent that cannot be read names nothing: its children are then copied each on its own.
func (k *Landing) children(
	ctx context.Context, from ref.Repo, lacking plan.Inventory, parents []oci.Descriptor,
) (map[oci.Digest]bool, error) {
	children := map[oci.Digest]bool{}
	if len(lacking) == 0 || len(parents) == 0 {
		return children, nil
	}
	at, err := k.Into.Session.Source(ctx, from)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	return children, place.Each(ctx, survey.MaxLookups, parents, func(ctx context.Context, d oci.Descriptor) error {
		done, err := k.acquireLookup(ctx, fault.Source)
		if err != nil {
			return err
		}
		defer done()
		doc, err := at.Document(ctx, string(d.Digest))
		if err != nil {
			return context.Cause(ctx)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, c := range doc.Documents {
			children[c.Digest] = true
		}
		return nil
	})
}
