package apply

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/azure"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/transfer"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

const (
	// maxManifests is how many manifests an image may have that Azure imports ("Import container images", Limitations).
	maxManifests = 50
	// largeLayer is the size in bytes from which Azure did not import layers from registries outside of it. Its
	// documentation does not name this limit since 2025, so dray relies on neither.
	largeLayer = 2 << 30
)

// viaAzure lets Azure bring the blobs of one image to the registries that import through it. Azure gets the image by
// its digest and sets no tag: the rest of the copy asks the target for everything and sets the tags, as always.
type viaAzure struct {
	run     *Run
	task    *task
	to      map[string][]ref.Repo // targets of the image, by registry
	mu      sync.Mutex
	brought map[string]bool // registries for which Azure was asked. The ends of one registry come one by one
}

// newViaAzure returns what brings the image of t, or nil if its targets have everything.
func (r *Run) newViaAzure(t *task) *viaAzure {
	if t.part == namesOnly {
		return nil
	}
	return &viaAzure{run: r, task: t, to: map[string][]ref.Repo{}, brought: map[string]bool{}}
}

func (v *viaAzure) via(e *end) credential.Via { return v.run.session.Base.ViaTo(e.repo.Host) }

// cannotReach returns the error of an end to which only Azure may bring something, and cannot.
func (v *viaAzure) cannotReach(e *end) error {
	if v == nil || v.via(e) != credential.ViaAzure || v.run.session.Base.Azure.Imports(e.repo.Host) && !e.repo.IsLayout() {
		return nil
	}
	return &fault.Fault{Kind: fault.Refused, Side: fault.Target, Op: v.run.Plan.Verb, Name: e.repo.String(),
		Err:  errors.New("not a registry of Azure, so Azure cannot import into it"),
		Hint: "use --via auto, or set azure.resource-manager of the registry in the configuration"}
}

// bring returns the transfer.End.Bring of an end; nil if dray brings everything there.
func (v *viaAzure) bring(
	e *end, at place.Repository,
) func(context.Context, transfer.Cargo) ([]oci.Descriptor, error) {
	if v == nil || v.via(e) == credential.ViaDray || !v.run.session.Base.Azure.Imports(e.repo.Host) || e.repo.IsLayout() {
		return nil
	}
	if v.via(e) == credential.ViaAuto && v.task.from.Host == e.repo.Host {
		return nil // the registry mounts blobs from its own repositories
	}
	v.to[e.repo.Host] = append(v.to[e.repo.Host], e.repo)
	return func(ctx context.Context, c transfer.Cargo) ([]oci.Descriptor, error) {
		left, err := v.imported(ctx, e, at, c)
		switch {
		case err == nil:
			v.record(e, report.ViaAzure, nil)
			return left, nil
		case fault.Is(err, fault.Canceled):
			return nil, err
		case v.via(e) == credential.ViaAzure:
			v.record(e, "", err)
			return nil, hinted(err, "use --via auto, then dray copies what Azure does not import")
		}
		v.record(e, report.ViaDray, err)
		v.run.session.Observe(event.Event{Kind: event.Noted, Side: string(fault.Target), Name: e.repo.String(),
			Digest: string(v.task.root.Digest), Err: err, Text: "dray copies " +
				v.task.from.At(string(v.task.root.Digest)).String() + " to " + e.repo.String() + " itself: " + err.Error()})
		return left, nil
	}
}

// record writes into the reports of an end which way its image went, and why not the other.
func (v *viaAzure) record(e *end, way string, why error) {
	v.run.mu.Lock()
	defer v.run.mu.Unlock()
	for _, i := range e.steps {
		v.run.Reports[i].Via = way
		if why != nil {
			v.run.Reports[i].NotByAzure = plan.ProblemOf(why)
		}
	}
}

// imported lets Azure import what the target lacks, and asks the target for it. It returns what the target lacks
// after that. The error says why Azure did not bring everything.
func (v *viaAzure) imported(
	ctx context.Context, e *end, at place.Repository, c transfer.Cargo,
) (left []oci.Descriptor, err error) {
	if err := v.unsuited(c); err != nil {
		return c.Lack, err
	}
	for range 2 {
		earlier := false
		v.mu.Lock()
		asked := v.brought[e.repo.Host]
		v.mu.Unlock()
		if !asked {
			if earlier, err = v.ask(ctx, e, c); err != nil {
				return c.Lack, err
			}
			v.mu.Lock()
			v.brought[e.repo.Host] = !earlier
			v.mu.Unlock()
		}
		if left, err = at.Prove(ctx, c.Lack); err != nil {
			return c.Lack, fault.On(fault.Target, err)
		}
		if len(left) == 0 || !earlier {
			break
		}
	}
	if len(left) > 0 {
		return left, &fault.Fault{Kind: fault.Corrupt, Side: fault.Target, Op: "look for what Azure imported into",
			Name: e.repo.String(), Err: fmt.Errorf("azure says that it has imported %s, and %d of its %d blobs are missing, "+
				"such as %s", v.task.root.Digest, len(left), len(c.Blobs), left[0].Digest)}
	}
	return nil, nil
}

// ask lets Azure import the image into all its targets at the registry of e.
func (v *viaAzure) ask(ctx context.Context, e *end, c transfer.Cargo) (earlier bool, err error) {
	o := azure.Order{From: v.task.from.At(string(v.task.root.Digest)), To: v.to[e.repo.Host]}
	large := false
	for _, b := range c.Blobs {
		o.Size += b.Size
		large = large || b.Size > largeLayer
	}
	s := v.run.session
	o.Login = s.Own(fault.Source, v.task.from, remote.Pull).Login
	earlier, err = s.Base.Azure.Import(ctx, o, s.Watch())
	if err != nil && large && fault.Is(err, fault.Refused) {
		err = hinted(err, "a layer is larger than 2 GiB, which Azure did not always import from other registries")
	}
	return earlier, err
}

// unsuited returns the reason for which Azure is not asked to import an image, or nil.
func (v *viaAzure) unsuited(c transfer.Cargo) error {
	refused := func(why, hint string) error {
		name := v.task.from.At(string(v.task.root.Digest)).String()
		return &fault.Fault{Kind: fault.Refused, Op: "import by Azure", Name: name, Err: errors.New(why), Hint: hint}
	}
	s := v.run.session
	switch {
	case !s.Base.Elsewhere(v.task.from):
		return refused("Azure imports from registries that it reaches, and not from this machine", "")
	case v.task.trim.Partial():
		return refused("Azure imports all platforms of an image", "leave out --platform")
	case len(c.Documents) > maxManifests:
		return refused(fmt.Sprintf("it has %d manifests, and Azure imports at most %d", len(c.Documents), maxManifests), "")
	case s.Logins[fault.Target] != nil:
		return refused("a login for the target is given, and Azure imports with an Azure identity",
			"leave out --dst-creds")
	}
	return nil
}

// hinted returns err with a hint, if it has none.
func hinted(err error, hint string) error {
	if fault.HintOf(err) != "" {
		return err
	}
	return &fault.Fault{Kind: fault.KindOf(err), Side: fault.SideOf(err), Hint: hint, Err: err}
}
