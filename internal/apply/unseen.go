package apply

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/azure"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// IsUnseen reports whether a source that err is about may exist, although nobody here can look at it.
func IsUnseen(err error) bool {
	return fault.SideOf(err) == fault.Source && (fault.Is(err, fault.Denied) || fault.Is(err, fault.Unavailable))
}

// Unaccepted returns the error of an image that only Azure may see, if nobody has said that this is enough.
func Unaccepted(verb string, from ref.Name, err error) error {
	return &fault.Fault{Kind: fault.Refused, Side: fault.Source, Op: verb, Name: from.String(),
		Err:  fmt.Errorf("dray cannot see the image: %w", err),
		Hint: "--accept-unseen lets Azure import it by its tag, although nothing can compare it with the source"}
}

// importUnseen lets Azure import the images of steps whose source cannot be seen from here, by their tags. What
// arrived is looked at as a whole at the target. The step then becomes one that sets the tag in the target itself,
// with all that belongs to that. The error is Canceled.
func (r *Run) importUnseen(ctx context.Context) error {
	var unseen []int
	for i, s := range r.Plan.Steps {
		can := s.Action == plan.Broken && IsUnseen(s.Problem.Err()) && s.From.Tag != "" && s.To.Tag != "" && !s.To.IsLayout()
		if can && r.session.Base.ViaTo(s.To.Host) != credential.ViaDray && r.session.Base.Azure.Imports(s.To.Host) {
			unseen = append(unseen, i)
		}
	}
	if len(unseen) == 0 {
		return nil
	}
	r.wasUnseen = map[int]ref.Name{}
	for _, i := range unseen {
		r.wasUnseen[i] = r.Plan.Steps[i].From
	}
	return place.Each(ctx, r.session.Base.InFlight(), unseen, func(ctx context.Context, i int) error {
		now, err := r.unseen(ctx, r.Plan.Steps[i])
		if fault.Is(err, fault.Canceled) {
			return err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if err != nil {
			r.Plan.Steps[i].Problem = plan.ProblemOf(err)
			return nil
		}
		r.Plan.Steps[i] = now
		return nil
	})
}

// unseen returns the step that sets the tag of an image that Azure has imported.
func (r *Run) unseen(ctx context.Context, s plan.Step) (plan.Step, error) {
	cause := s.Problem.Err()
	refused := func(why, hint string) (plan.Step, error) {
		return s, &fault.Fault{Kind: fault.Refused, Side: fault.Source, Op: r.Plan.Verb, Name: s.From.String(),
			Err: fmt.Errorf("%s: %w", why, cause), Hint: hint}
	}
	b := r.session.Base
	switch {
	case !b.AcceptUnseen && b.ViaTo(s.To.Host) == credential.ViaAuto:
		return s, cause
	case !b.AcceptUnseen:
		return s, Unaccepted(r.Plan.Verb, s.From, cause)
	case r.session.Gate != nil || len(s.Own.Gates) > 0:
		return refused("a gate decides about the documents of an image, and they cannot be seen", "leave out the gate")
	case r.Plan.PlatformsOf(s).Form != plan.Whole && len(r.Plan.PlatformsOf(s).Only) > 0:
		return refused("Azure imports all platforms of an image", "leave out --platform")
	case r.session.Logins[fault.Target] != nil:
		return refused("a login for the target is given, and Azure imports with an Azure identity", "leave out --dst-creds")
	}
	there, err := survey.Target(ctx, r.session, s.To, "")
	if err != nil {
		return s, err
	}
	if there.Digest != "" && r.overwrite(s) == plan.Refuse {
		return s, &fault.Fault{Kind: fault.Conflict, Side: fault.Target, Op: r.Plan.Verb, Name: s.To.String(),
			Err:  errors.New("the tag exists, and the image at the source cannot be compared with it"),
			Hint: "use " + r.words.Replace(r.Plan.Verb) + " to replace it"}
	}
	at, err := r.session.Target(ctx, s.To.Repo, layout.Write)
	if err != nil {
		return s, err
	}
	got, err := r.stageUnseen(ctx, at, s)
	if err != nil {
		return s, err
	}
	now := plan.Step{Action: plan.Retag, From: s.To.Repo.At(string(got.Digest)), To: s.To, MediaType: got.MediaType,
		Size: got.Size, Replaces: there.Digest, Overwrite: s.Overwrite, Own: s.Own}
	if there.Digest == got.Digest && r.overwrite(s) != plan.Always {
		now.Action = plan.Skip
	} else if there.Digest != "" && r.Plan.Backup.Template != "" {
		steps := []plan.Step{now}
		r.Plan.Backup.Name(steps)
		now = steps[0]
		err = survey.BackupFree(ctx, r.session, now)
	}
	return now, err
}

// stageUnseen lets Azure import an image under a tag of its own, and looks at all that arrived.
func (r *Run) stageUnseen(ctx context.Context, at place.Repository, s plan.Step) (oci.Descriptor, error) {
	tag := s.To.Repo.Tagged("dray-unseen-" + strings.ToLower(rand.Text()[:16]))
	if r.guard != nil {
		asked := plan.Step{Action: plan.Copy, From: s.From, To: tag, Overwrite: plan.Refuse}
		if err := r.guard(ctx, []plan.Step{asked}); err != nil {
			return oci.Descriptor{}, err
		}
	}
	from := s.From
	from.Digest = "" // it could not be resolved
	o := azure.Order{From: from, Tags: []ref.Name{tag}, Login: r.session.Own(fault.Source, s.From.Repo, remote.Pull).Login}
	if _, err := r.session.Base.Azure.Import(ctx, o, r.session.Watch()); err != nil {
		return oci.Descriptor{}, err
	}
	r.mu.Lock()
	r.staged = append(r.staged, staged{tag.Repo, tag.Tag})
	r.mu.Unlock()
	got, err := at.Resolve(ctx, tag.Tag)
	if err == nil {
		err = whole(ctx, at, got)
	}
	return got, fault.On(fault.Target, err)
}

// maxUnseen is how many manifests an image may have that Azure imported: many times what its import takes.
const maxUnseen = 10_000

// whole asks a repository for everything below a document: each manifest is read, and each blob is asked for.
func whole(ctx context.Context, at place.Repository, root oci.Descriptor) error {
	var blobs []oci.Descriptor
	seen := map[oci.Digest]bool{root.Digest: true}
	for todo := []oci.Descriptor{root}; len(todo) > 0; todo = todo[1:] {
		doc, err := at.Document(ctx, string(todo[0].Digest))
		if err != nil {
			return err
		}
		blobs = append(blobs, doc.Blobs...)
		for _, c := range doc.Documents {
			if !seen[c.Digest] {
				seen[c.Digest] = true
				todo = append(todo, c)
			}
		}
		if len(seen) > maxUnseen {
			return &fault.Fault{Kind: fault.TooLarge, Op: "look at what Azure imported into",
				Name: at.Repo().At(string(root.Digest)).String(), Err: fmt.Errorf("more than %d manifests", maxUnseen)}
		}
	}
	lack, err := at.Prove(ctx, blobs)
	if err != nil || len(lack) == 0 {
		return err
	}
	return &fault.Fault{Kind: fault.Corrupt, Op: "look at what Azure imported into",
		Name: at.Repo().At(string(root.Digest)).String(),
		Err:  fmt.Errorf("%d of its blobs are missing, such as %s", len(lack), lack[0].Digest)}
}

// unstage removes the tags under which Azure imported images: by now they have those that were asked for. A run
// that was canceled removes them, too.
func (r *Run) unstage(ctx context.Context) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer stop()
	for i, from := range r.wasUnseen {
		if s := r.Plan.Steps[i]; !s.Impossible() {
			from.Digest = s.From.Digest
			r.Reports[i].From, r.Reports[i].Via, r.Reports[i].Unseen = from, report.ViaAzure, true
		}
	}
	for _, s := range r.staged {
		err := r.session.Own(fault.Target, s.repo, remote.Pull).Delete(ctx, s.tag)
		if err != nil && !fault.Is(err, fault.NotFound) {
			r.session.Observe(event.Event{Kind: event.Noted, Side: string(fault.Target), Name: s.repo.String(), Err: err,
				Text: "the tag " + s.repo.Tagged(s.tag).String() + ", under which Azure imported an image, stays: " + err.Error()})
		}
	}
	r.staged = nil
}
