package bundle

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/have"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/migrate"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/outfile"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/internal/shelf"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/internal/trouble"
	"github.com/drayage/dray/internal/volume"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// Load verifies all volumes that are given. Only if they are not damaged, it copies their content into the
// target, then sets the names, and then proves that everything below them is there. A name that needs a
// volume that is not given waits: its other blobs are sent, and the name is left to a later Load.
//
// The error is Corrupt for a bundle that is damaged; nothing is written then. Otherwise it is that of the
// first step that failed.
func Load(
	ctx context.Context, b *place.Base, names *name.Reader, req LoadRequest, obs event.Observer,
	visit func(report.Repository) error,
) (report.Transfer, error) {
	l, err := open(ctx, b, names, req, obs)
	if err != nil {
		return l.sum, err
	}
	defer l.set.Close()
	return l.load(ctx, visit)
}

// open opens and verifies a bundle that is to be loaded. The set has to be closed if there is no error. If there is
// one, the loading has what is known about the bundle.
func open(
	ctx context.Context, b *place.Base, names *name.Reader, req LoadRequest, obs event.Observer,
) (*loading, error) {
	l := &loading{LoadRequest: req, base: b, names: names, obs: obs}
	var err error
	if l.to, err = names.End(req.Target, fault.Target); err != nil {
		return l, err
	}
	if l.apart, err = checkReceiver(ctx, req.Target, l.to); err != nil {
		return l, err
	}
	if l.set, err = volume.Open(req.Paths...); err != nil {
		return l, err
	}
	l.Overwrite = cmp.Or(l.Overwrite, plan.Update)
	l.Receipt = cmp.Or(l.Receipt, filepath.Clean(req.Paths[0])+".receipt")
	err = writable(l.Receipt)
	if err == nil {
		var found report.Bundle
		found, err = verified(ctx, l.set, req.Paths, obs)
		found.Waiting = nil
		l.sum.Bundle = &found
	}
	if err == nil {
		l.attached, err = l.set.Attached(l.set.Contents.Names)
	}
	if err != nil {
		l.set.Close()
	}
	return l, err
}

// checkReceiver refuses a target that is neither a registry, a prefix in one, nor a layout. apart says that it is a
// directory with a layout for each repository.
func checkReceiver(ctx context.Context, target string, to name.End) (apart bool, err error) {
	dir := filepath.Clean(to.Prefix)
	misused := func(why, hint string) error {
		return fault.On(fault.Target, fault.Misuse("load bundle", target, why, hint))
	}
	switch {
	case to.Single() || to.OnDisk() && to.Host != ref.Layout:
		return false, misused("the target is not a registry, a prefix in one, or a layout",
			"write HOST, or HOST/PREFIX/ or oci:DIR/ with a slash at the end")
	case !to.OnDisk():
		return false, nil
	case volume.IsBundle(dir):
		return false, misused("the directory is itself a bundle, which the load would change", "name another directory")
	}
	apart, err = layout.Apart(ctx, dir)
	return apart, fault.On(fault.Target, err)
}

func (l *loading) load(ctx context.Context, visit func(report.Repository) error) (report.Transfer, error) {
	s := l.base.Begin(nil, l.TargetLogin, l.obs)
	defer s.Release()
	complete, waiting, err := l.divide(ctx, s)
	if err != nil {
		return l.sum, err
	}
	if err := l.rightReceiver(ctx, s); err != nil {
		return l.sum, err
	}
	l.hint()
	from := l.shelf(ctx, s, complete)
	bundle := l.sum.Bundle
	l.sum = report.Transfer{Verb: verbLoad}
	if len(complete) > 0 {
		c := copies{draft: l.draft(complete), target: l.TargetLogin, gate: l.Gate, names: complete}
		l.sum, err = copyListed(ctx, l.reading(from), l.names, c, l.obs, visit)
	}
	l.sum.Bundle = bundle
	if err == nil {
		err = l.waitFor(ctx, s, waiting)
	}
	var there []volume.Name
	if err == nil {
		there, err = l.arrived(ctx, s, complete)
	}
	l.exchanged(s.Traffic.Exchanged())
	if err == nil {
		err = l.prove(ctx, l.shelf(ctx, s, there), there)
	}
	if err == nil && (len(complete) > 0 || len(waiting) == 0) {
		err = l.writeReceipt(there)
	}
	return l.sum, err
}

// shelf returns the bundle with these names. What it leaves out is read from the receiver.
func (l *loading) shelf(ctx context.Context, s *place.Session, names []volume.Name) *shelf.Shelf {
	return shelf.New(l.set, names, func(path string) (place.Repository, error) {
		return s.Target(ctx, l.repo(path), layout.Read)
	})
}

// reading returns a copy of the base in which Host is the bundle.
func (l *loading) reading(from *shelf.Shelf) *place.Base {
	b := with(l.base, from)
	b.Subject = from.Subject
	return b
}

// draft plans to copy names of the bundle to the target. All content is copied before the first name is set. What
// refers to an image among the names travels with it, as in any copy.
func (l *loading) draft(
	names []volume.Name,
) func(context.Context, *place.Session, *name.Reader) (*survey.Draft, error) {
	return func(ctx context.Context, s *place.Session, _ *name.Reader) (*survey.Draft, error) {
		what, err := l.set.Attached(names)
		if err != nil {
			return nil, err
		}
		all, err := grouped(what.Alone(), inBundle)
		if err != nil {
			return nil, err
		}
		entry := func(n volume.Name) plan.Entry {
			to := l.repo(n.Repo).Tagged(n.Tag)
			return plan.Entry{Source: Host + "/" + n.String(), Targets: []string{to.String()}}
		}
		rules := survey.Rules{Verb: verbLoad, Overwrite: l.Overwrite, Backup: l.Backup, Hold: plan.All,
			Referrers: plan.Referrers{Mode: plan.ReferrersSync}} // an image may be there without what refers to it
		d, err := all.draft(ctx, s, l.names, entry, "", rules) // l.names: these names need no notes
		if err != nil {
			return nil, err
		}
		return d, l.keepOwn(ctx, s, d.Steps)
	}
}

// keepOwn leaves the digest tags of the receiver as they are that the bundle would take something from. One that
// Overwrite protects stays as well, and does not stop the load.
func (l *loading) keepOwn(ctx context.Context, s *place.Session, steps []plan.Step) error {
	if err := referrers.KeepOwn(ctx, s, steps, l.Overwrite); err != nil {
		return err
	}
	for i := range steps {
		if oci.IsDigestTag(steps[i].To.Tag) && steps[i].Action == plan.Conflict {
			steps[i].Action, steps[i].Keeps = plan.Skip, plan.KeepsOther
		}
	}
	return nil
}

// hint remembers where the receiver is said to hold the blobs that the bundle leaves out, so that they are
// mounted.
func (l *loading) hint() {
	if l.to.OnDisk() {
		return // all repositories share their content
	}
	places := ledger.Places{}
	for _, b := range l.set.Contents.Absent {
		places[b.Digest] = []string{l.to.Prefix + b.At}
	}
	_ = l.base.Earlier.Merge(l.to.Host, places, nil) // without hints, these blobs are copied within the registry
}

// arrived returns those of names that the receiver has now: without the referrers that it refused, and without the
// digest tags of which it keeps its own.
func (l *loading) arrived(ctx context.Context, s *place.Session, names []volume.Name) ([]volume.Name, error) {
	lost := map[ref.Name]bool{}
	for _, r := range l.sum.Referrers.Lost {
		lost[r.To] = true
	}
	other := make([]bool, len(names))
	err := place.Each(ctx, place.Lookups, place.IndexesOf(names), func(ctx context.Context, i int) error {
		n := names[i]
		repo := l.repo(n.Repo)
		other[i] = n.Tag == "" && lost[repo.At(string(n.Digest))] || n.Tag != "" && lost[repo.Tagged(n.Tag)]
		if other[i] || !oci.IsDigestTag(n.Tag) {
			return nil
		}
		at, err := s.Target(ctx, repo, layout.Read)
		if err != nil {
			return err
		}
		has, err := at.Resolve(ctx, n.Tag)
		other[i] = err == nil && has.Digest != n.Digest
		if fault.Is(err, fault.NotFound) {
			return nil // the proof says so
		}
		return fault.On(fault.Target, err)
	})
	var there []volume.Name
	for i, n := range names {
		if !other[i] {
			there = append(there, n)
		}
	}
	return there, err
}

// prove checks that the receiver has everything below the names, and sends what is missing there. What is stored by
// digest is stored after everything below it was confirmed, and needs no proof.
func (l *loading) prove(ctx context.Context, from *shelf.Shelf, names []volume.Name) error {
	tagged := slices.DeleteFunc(slices.Clone(names), func(n volume.Name) bool { return n.Tag == "" })
	all, err := grouped(tagged, inBundle)
	for _, g := range all {
		if err == nil {
			err = l.proveGroup(ctx, l.reading(from.Listing(g.names)), g.part)
		}
	}
	return err
}

func (l *loading) proveGroup(ctx context.Context, b *place.Base, part plan.Platforms) error {
	receipt, err := migrate.Verify(ctx, b, l.names, migrate.VerifyRequest{
		Of: migrate.Request{
			Sources: []string{Host}, Target: l.Target, TargetLogin: l.TargetLogin, Platforms: part,
		},
		Depth: report.Deep, Heal: true, When: l.Now,
	}, l.obs, func(report.Comparison) error { return nil })
	l.sum.Healed += receipt.Healed
	l.exchanged(receipt.Traffic)
	if err != nil || receipt.Right() {
		return err
	}
	var first string
	if len(receipt.Troubles) > 0 {
		first = receipt.Troubles[0].To.String()
	}
	return &fault.Fault{Kind: fault.Corrupt, Side: fault.Target, Op: "load bundle", Name: first,
		Err: fmt.Errorf("%d of %d names are not complete at the receiver",
			receipt.Names-receipt.Matches[report.Same], receipt.Names),
		Hint: "run the same command again; if this stays, list again what the receiver has, and make a bundle from that list"}
}

// exchanged adds to the traffic of the load.
func (l *loading) exchanged(traffic map[string]report.Traffic) {
	for host, t := range traffic {
		if l.sum.Traffic == nil {
			l.sum.Traffic = map[string]report.Traffic{}
		}
		all := l.sum.Traffic[host]
		all.Requests += t.Requests
		all.Retries += t.Retries
		all.Sent += t.Sent
		all.Received += t.Received
		l.sum.Traffic[host] = all
	}
}

// writeReceipt writes what the receiver has now, for the next bundle.
func (l *loading) writeReceipt(names []volume.Name) error {
	list := have.New(l.to.String(), l.Now)
	for _, n := range names {
		if n.Tag != "" {
			list.Names = append(list.Names, have.Name{Repo: n.Repo, Tag: n.Tag, Digest: n.Digest})
		} else if n.Subject != "" {
			list.AddReferrer(n.Repo, have.Referrer{Digest: n.Digest, Subject: n.Subject})
		}
		all, err := l.set.Needs(n.Digest)
		if err != nil {
			return err
		}
		var blobs []oci.Digest
		for d := range all {
			if !l.set.IsDocument(d) {
				blobs = append(blobs, d)
			}
		}
		list.Add(n.Repo, blobs...)
	}
	var text bytes.Buffer
	err := list.Write(&text)
	if err == nil {
		err = outfile.Replace(l.Receipt, text.Bytes(), 0o644)
	}
	if err != nil {
		return stageFault("write receipt", l.Receipt, err)
	}
	l.sum.Bundle.Receipt = l.Receipt
	return nil
}

// writable checks that the receipt can be written, before anything is copied.
func writable(path string) error {
	err := outfile.Check(path)
	kind, hint := fault.Unavailable, "name another file with --receipt FILE"
	full, step, isDisk := trouble.Of(err, path)
	switch {
	case err == nil:
		return nil
	case isDisk:
		kind, hint = full, step+", or "+hint
	case errors.Is(err, fs.ErrPermission):
		kind = fault.Denied
	case errors.Is(err, fs.ErrNotExist):
		kind, hint = fault.NotFound, "make the directory "+filepath.Dir(path)+", or "+hint
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err // the fault names the file
	}
	return &fault.Fault{Kind: kind, Op: "write receipt", Name: path, Err: err, Hint: hint}
}
