package verb

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// below is the end of a place that stands for many repositories: "HOST/team/**". It is unambiguous,
// because the name of a repository cannot contain a star.
const below = "**"

// asking collects the rights that a request needs, each once.
type asking struct {
	verb string
	all  []access.Ask
	seen map[access.Ask]bool
}

func newAsking(verb string) *asking { return &asking{verb: verb, seen: map[access.Ask]bool{}} }

func (a *asking) add(source, target, write string) {
	ask := access.Ask{Verb: a.verb, Source: source, Target: target, Write: write}
	if !a.seen[ask] {
		a.seen[ask] = true
		a.all = append(a.all, ask)
	}
}

// write adds every right that copying from source to target may need.
func (a *asking) write(source, target string, ow plan.Overwrite) {
	a.add(source, target, access.Create)
	if ow != plan.Refuse {
		a.add(source, target, access.Overwrite)
	}
	// Within one registry, blobs are mounted from repository to repository if the registry can do that.
	if hostOf(source) == hostOf(target) && source != target {
		a.add(source, target, access.Mount)
	}
}

func hostOf(place string) string {
	host, _, _ := strings.Cut(place, "/")
	return host
}

// asks returns the rights that r needs. They cover every repository that r may read or write.
func (s *Service) asks(ctx context.Context, r wire.Request, at time.Time) ([]access.Ask, error) {
	a := newAsking(r.Kind)
	if r.Kind == wire.KindApply {
		err := s.applyAsks(ctx, a, *r.Apply)
		return a.all, err
	}
	if r.Kind == wire.KindPlan {
		if r.Plan.Uploaded {
			a.add("", "", "")
			return a.all, nil
		}
		planned := newAsking(r.Kind)
		if err := s.verbAsks(planned, r.Plan.Of(), at); err != nil {
			return nil, err
		}
		for _, ask := range planned.all {
			a.add(ask.Source, ask.Target, "")
		}
		return a.all, nil
	}
	err := s.verbAsks(a, r, at)
	return a.all, err
}

func (s *Service) verbAsks(a *asking, r wire.Request, at time.Time) error {
	switch r.Kind {
	case wire.KindImport:
		req, err := buildImport(*r.Import, at)
		if err != nil {
			return err
		}
		source, targets, err := s.dray.ImportNames(req)
		if err != nil {
			return err
		}
		for _, to := range targets {
			a.write(source.Repo.String(), to.Repo.String(), cmp.Or(req.Overwrite, plan.Refuse))
		}
	case wire.KindCopy:
		return s.copyAsks(a, *r.Copy)
	case wire.KindTag:
		image, err := s.dray.Name(r.Tag.Image, fault.Target)
		if err != nil {
			return err
		}
		a.write(image.Repo.String(), image.Repo.String(), plan.Update)
	case wire.KindBatch:
		req, err := buildBatch(*r.Batch, at)
		if err != nil {
			return err
		}
		for _, e := range req.Entries {
			source, targets, err := s.dray.EntryNames(e, req.Target, nil)
			if err != nil {
				continue // The entry becomes a broken step, which reads and writes nothing.
			}
			for _, to := range targets {
				a.write(source.Repo.String(), to.Repo.String(), cmp.Or(e.Overwrite, req.Overwrite, plan.Refuse))
			}
		}
		if len(a.all) == 0 {
			a.add("", "", access.Create)
		}
	case wire.KindTransfer:
		req, err := buildTransfer(*r.Transfer, at)
		if err != nil {
			return err
		}
		ow := cmp.Or(req.Overwrite, plan.Update)
		return s.transferAsks(req, func(source, target string) { a.write(source, target, ow) })
	case wire.KindVerify:
		return s.verifyAsks(a, *r.Verify, at)
	}
	return nil
}

func (s *Service) copyAsks(a *asking, r wire.Copy) error {
	source, err := s.dray.Name(r.Source, fault.Source)
	if err != nil {
		return err
	}
	for _, t := range r.Targets {
		to, err := s.dray.Name(t, fault.Target)
		if err != nil {
			return err
		}
		a.write(source.Repo.String(), to.Repo.String(), cmp.Or(plan.Overwrite(r.Overwrite), plan.Update))
	}
	return nil
}

func (s *Service) verifyAsks(a *asking, r wire.Verify, at time.Time) error {
	req, err := buildVerify(r, at)
	if err != nil {
		return err
	}
	ask := func(source, target string) {
		a.add(source, target, "")
		if r.Heal { // It sends missing content, but sets no name.
			a.write(source, target, plan.Refuse)
		}
	}
	err = s.transferAsks(req.Of, ask)
	if err == nil || len(r.Sources) != 1 || len(r.Also) > 0 {
		return err
	}
	// The only source may also be a single image, which is not an end of a transfer.
	source, e := s.dray.Name(r.Sources[0], fault.Source)
	if e != nil || source.Tag == "" && source.Digest == "" {
		return err
	}
	target, e := s.dray.Name(r.Target, fault.Target)
	if e != nil {
		return e
	}
	ask(source.Repo.String(), target.Repo.String())
	return nil
}

// transferAsks calls ask with each pair of places between which a transfer may copy content.
func (s *Service) transferAsks(req dray.TransferRequest, ask func(source, target string)) error {
	sources, targets, err := s.dray.TransferEnds(req, nil)
	if err != nil {
		return err
	}
	for _, from := range sources {
		if from.Repo == (ref.Repo{}) && req.Selection.Repository != "" {
			if from.Repo, err = ref.NewRepo(from.Host, req.Selection.Repository); err != nil {
				return err
			}
		}
		for _, to := range targets {
			place, err := landing(from, to, req.Mapping)
			if err != nil {
				return err
			}
			ask(placeOf(from), place)
		}
	}
	return nil
}

func placeOf(e dray.End) string {
	if e.Repo != (ref.Repo{}) {
		return e.Repo.String()
	}
	return e.Host + "/" + e.Prefix + below
}

// landing returns the place at target to that receives the repositories of from. If from or to is a
// single repository, the place is one repository. Otherwise it covers every path that the mapping may
// produce.
func landing(from, to dray.End, m plan.Mapping) (string, error) {
	if to.Repo != (ref.Repo{}) {
		return to.Repo.String(), nil
	}
	m.AddPrefix = to.Prefix + m.AddPrefix
	if from.Repo != (ref.Repo{}) {
		repo, err := m.Repo(to.Host, from.Repo)
		return repo.String(), err
	}
	prefix := strings.TrimSuffix(m.AddPrefix, "/")
	if prefix != "" {
		prefix += "/"
	}
	if m.MaxDepth > 0 && strings.Count(prefix, "/") >= m.MaxDepth {
		return to.Host + "/" + below, nil // MaxDepth joins the last component of the prefix to the rest of the path
	}
	if m.StripPrefix == "" && len(m.Rename) == 0 && !m.Flatten && m.Template == "" && m.MaxDepth == 0 {
		prefix += from.Prefix
	}
	return to.Host + "/" + prefix + below, m.Check()
}

// applyAsks reads the whole plan and adds the rights that its steps need.
func (s *Service) applyAsks(ctx context.Context, a *asking, r wire.Apply) error {
	in, err := s.openPlan(ctx, r.Plan)
	if err != nil {
		return err
	}
	head := in.Header()
	a.add("", "", access.Create)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		step, end, err := next(in)
		if err != nil || end {
			return err
		}
		if step.Impossible() {
			continue
		}
		if err := remoteOnly(step.From.Repo.String(), step.To.Repo.String()); err != nil {
			return err
		}
		ow := plan.Refuse
		// A plan of verb tag was made without a look at its targets, so an empty Replaces does not mean
		// that the tag is new.
		if step.Replaces != "" || head.Verb == wire.KindTag || r.Follow && head.Overwrite != plan.Refuse {
			ow = plan.Update
		}
		a.write(step.From.Repo.String(), step.To.Repo.String(), ow)
	}
}

// allow checks the rights that r needs against the rules, and returns them. The error is that of the first right
// that p does not have.
func (s *Service) allow(
	ctx context.Context, p access.Principal, r wire.Request, at time.Time,
) ([]access.Ask, error) {
	asks, err := s.asks(ctx, r, at)
	if err != nil {
		return nil, err
	}
	for _, ask := range asks {
		if err := s.allowAll(p, ask); err != nil {
			return nil, err
		}
	}
	return asks, nil
}

// allowAll checks an ask whose source or target may stand for many repositories. A rule must grant all
// of them, including repositories that do not exist yet. So allowAll calls Allow with made-up names of
// several depths, which only a pattern with "**" matches.
func (s *Service) allowAll(p access.Principal, ask access.Ask) error {
	for _, source := range probes(ask.Source) {
		for _, target := range probes(ask.Target) {
			one := ask
			one.Source, one.Target = source, target
			err := s.access.Allow(p, one)
			if err == nil {
				continue
			}
			if source == ask.Source && target == ask.Target {
				return err
			}
			words := []string{ask.Verb}
			if ask.Write != "" {
				words = append(words, "("+ask.Write+")")
			}
			words = append(words, "from", ask.Source, "to", ask.Target)
			return &fault.Fault{Kind: fault.KindOf(err), Op: p.Name + " may not", Name: strings.Join(words, " "),
				Err:  errors.New("no rule grants all of these repositories"),
				Hint: "name fewer repositories, or ask for a rule with ** that covers all of them"}
		}
	}
	return nil
}

func probes(place string) []string {
	prefix, many := strings.CutSuffix(place, below)
	if !many {
		return []string{place}
	}
	component := strings.Repeat("\x01", 41)
	var names []string
	for _, depth := range []int{1, 2, 3, 4, 8, 64} {
		names = append(names, prefix+strings.TrimSuffix(strings.Repeat(component+"/", depth), "/"))
	}
	return names
}
