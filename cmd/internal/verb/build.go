package verb

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// The build functions convert requests to those of package dray. at is the time when the job was
// created. Ages and dates are computed from it, so every attempt at the job computes the same.

func buildImport(r wire.Import, at time.Time) (dray.ImportRequest, error) {
	req := dray.ImportRequest{
		Source: r.Source, SourceRegistry: r.SourceRegistry, Tags: r.Tags,
		Target: r.Target, Images: r.Images, Repositories: r.Repositories,
		Overwrite: plan.Overwrite(r.Overwrite), Hold: plan.Hold(r.Hold), Backup: backup(r.Backup, at),
		Referrers:   referrers(r.Referrers),
		SourceLogin: loginOf(r.SourceLogin), TargetLogin: loginOf(r.TargetLogin),
	}
	names := slices.Concat([]string{r.Source, r.SourceRegistry, r.Target}, r.Images, r.Repositories)
	if err := remoteOnly(names...); err != nil {
		return req, err
	}
	var err error
	if req.Platforms, err = platforms(r.Platforms); err != nil {
		return req, err
	}
	req.Map, err = buildTagging(r.Tagging)
	return req, err
}

func buildCopy(r wire.Copy, at time.Time) (dray.CopyRequest, error) {
	req := dray.CopyRequest{
		Source: r.Source, Targets: r.Targets, Tags: dray.Tags(r.All),
		Overwrite: plan.Overwrite(r.Overwrite), Hold: plan.Hold(r.Hold), Backup: backup(r.Backup, at),
		Referrers:  referrers(r.Referrers),
		SkipBroken: r.SkipBroken, SourceLogin: loginOf(r.SourceLogin), TargetLogin: loginOf(r.TargetLogin),
	}
	if err := remoteOnly(append([]string{r.Source}, r.Targets...)...); err != nil {
		return req, err
	}
	var err error
	if req.Platforms, err = platforms(r.Platforms); err != nil {
		return req, err
	}
	req.Map, err = buildTagging(r.Tagging)
	return req, err
}

func buildTag(r wire.Tag) (dray.TagRequest, error) {
	req := dray.TagRequest{Image: r.Image, Tags: r.Tags, Hold: plan.Hold(r.Hold), Login: loginOf(r.Login)}
	if err := remoteOnly(r.Image); err != nil {
		return req, err
	}
	for _, tag := range r.Tags {
		if err := ref.Tag(tag); err != nil {
			return req, err
		}
	}
	var err error
	req.Map, err = buildTagging(r.Tagging)
	return req, err
}

func buildBatch(r wire.Batch, at time.Time) (dray.BatchRequest, error) {
	req := dray.BatchRequest{
		List: r.List, Target: r.Target,
		Overwrite: plan.Overwrite(r.Overwrite), Hold: plan.Hold(r.Hold), Backup: backup(r.Backup, at),
		SkipBroken: r.SkipBroken, Proof: proof(r.Proof), Referrers: referrers(r.Referrers),
		SourceLogin: loginOf(r.SourceLogin), TargetLogin: loginOf(r.TargetLogin),
	}
	for _, e := range r.Entries {
		entry, err := buildEntry(e)
		if err != nil {
			return req, err
		}
		req.Entries = append(req.Entries, entry)
	}
	var err error
	req.Platforms, err = platforms(r.Platforms)
	return req, err
}

func buildEntry(e wire.BatchEntry) (dray.BatchEntry, error) {
	entry := dray.BatchEntry{
		Source: e.Source, Targets: e.Targets, Paths: e.Paths, Overwrite: plan.Overwrite(e.Overwrite), Line: e.Line,
	}
	entry.Referrers, entry.Gates = referrers(e.Referrers), e.Gates
	var err error
	entry.Platforms, err = platforms(e.Platforms)
	return entry, cmp.Or(err, entry.Own.Check())
}

func buildTransfer(r wire.Transfer, at time.Time) (dray.TransferRequest, error) {
	req, err := buildEnds(r.Ends, at)
	req.Overwrite, req.Backup, req.Proof = plan.Overwrite(r.Overwrite), backup(r.Backup, at), proof(r.Proof)
	req.CopyLocks, req.Heal, req.Incremental = r.CopyLocks, r.Heal, r.Incremental
	req.Delay = time.Duration(r.Delay * float64(time.Second))
	req.SourceLogin, req.TargetLogin = loginOf(r.SourceLogin), loginOf(r.TargetLogin)
	return req, err
}

func buildVerify(r wire.Verify, at time.Time) (dray.VerifyRequest, error) {
	of, err := buildEnds(r.Ends, at)
	of.SourceLogin, of.TargetLogin = loginOf(r.SourceLogin), loginOf(r.TargetLogin)
	req := dray.VerifyRequest{Of: of, Depth: dray.Depth(r.Depth), Sample: r.Sample, Heal: r.Heal, By: r.By, When: at}
	if err == nil && r.Heal && (r.Depth == "" || req.Depth == dray.Digests) {
		err = invalid("verify", "", "depth digests does not find missing content", "use heal with depth deep or rehash")
	}
	return req, err
}

// maxPairs limits the pairs of a source and a target in one request. The rights of each pair are checked while the
// client waits.
const maxPairs = 10_000

func buildEnds(e wire.Ends, at time.Time) (req dray.TransferRequest, err error) {
	req = dray.TransferRequest{Sources: e.Sources, Target: e.Target, Also: e.Also, Prefer: e.Prefer}
	req.Strict, req.SkipBroken, req.Referrers = e.Strict, e.SkipBroken, referrers(e.Referrers)
	if pairs := len(e.Sources) * (1 + len(e.Also) + len(e.Prefer)); pairs > maxPairs {
		return req, invalid("transfer", "", fmt.Sprintf("%d sources, with %d targets and %d that are preferred, are too many",
			len(e.Sources), 1+len(e.Also), len(e.Prefer)), "name prefixes that have several repositories, or divide the request")
	}
	for _, names := range [][]string{e.Sources, {e.Target}, e.Also, e.Prefer} {
		if err := remoteOnly(names...); err != nil {
			return req, err
		}
	}
	if e.InUse != "" {
		if req.InUse, err = plan.ParseInUse([]byte(e.InUse)); err != nil {
			return req, err
		}
	}
	if req.Selection, err = plan.Words(e.Selection).Selection(at); err != nil {
		return req, err
	}
	m := e.Mapping
	req.Mapping = plan.Mapping{
		StripPrefix: m.StripPrefix, Flatten: m.Flatten, Template: m.Template,
		AddPrefix: m.AddPrefix, MaxDepth: m.MaxDepth,
	}
	if req.Mapping.Rename, err = plan.ParseRenames(m.Rename); err != nil {
		return req, err
	}
	if req.Platforms, err = platforms(e.Platforms); err != nil {
		return req, err
	}
	req.Map, err = buildTagging(e.Tagging)
	return req, err
}

func buildTagging(t wire.Tagging) (plan.TagMap, error) {
	var m plan.TagMap
	for _, s := range t.Map {
		p, err := plan.ParsePair(s)
		if err != nil {
			return m, err
		}
		m.Pairs = append(m.Pairs, p)
	}
	var err error
	m.Rename, err = plan.ParseRenames(t.Rename)
	return m, cmp.Or(err, m.Check())
}

// backup returns the backup rule of a template. Its date, which replaces {date}, is the UTC date of at.
func backup(template string, at time.Time) plan.Backup {
	b := plan.Backup{Template: template}
	if strings.Contains(template, "{date}") {
		b.Date = at.UTC().Format("20060102")
	}
	return b
}

// platforms returns the platforms of a request.
func platforms(r wire.Platforms) (plan.Platforms, error) {
	p, err := plan.ParsePlatforms(r.Only...)
	if err != nil {
		return p, err
	}
	if r.Sparse {
		p.Form = plan.Sparse
	}
	if r.Optional {
		p.Lacks = plan.Optional
	}
	return p, p.Check()
}

// referrers returns the choice of a request. "true" means moving; an unknown mode stays as it is and is
// refused where the choice is checked.
func referrers(r wire.Referrers) plan.Referrers {
	c := plan.Referrers{Mode: plan.ReferrerMode(r.Mode), Types: r.Types, Annotations: r.Annotations}
	if r.Mode == "true" {
		c.Mode = plan.ReferrersMoving
	}
	return c
}

func proof(s string) dray.Proof {
	if s == "claimed" {
		return dray.Claimed
	}
	return dray.Proof(s)
}

// remoteOnly refuses names that a client must not give to a server: directories of the server's
// machine, and addresses with a scheme. A scheme would change how the server connects to the host for
// every principal.
func remoteOnly(names ...string) error {
	for _, name := range names {
		name = ref.CutTransport(strings.TrimSpace(name))
		switch {
		case ref.IsLayout(name), strings.HasPrefix(name, ref.Layout):
			return &fault.Fault{Kind: fault.Refused, Op: "read name", Name: name,
				Err:  errors.New("a server does not read or write directories and files"),
				Hint: "use this name in a command that runs without a server"}
		case strings.Contains(name, "://"):
			return invalid("read name", name,
				"a name has no scheme", "write HOST/REPO; the server's configuration says how to connect to a host")
		}
	}
	return nil
}

// gate returns the gates that a request names; nil if it names none.
func (s *Service) gate(names []string) (gate.Gate, error) {
	if len(names) == 0 {
		return nil, nil
	}
	var all gate.All
	for _, name := range names {
		g, ok := s.gates[name]
		if !ok {
			return nil, invalid("read request", "gates", "the server has no gate "+strconv.Quote(name),
				"name a gate of the server's configuration")
		}
		all = append(all, g)
	}
	return all, nil
}

// gatesOf returns the gates that a request names.
func gatesOf(r wire.Request) []string {
	switch {
	case r.Import != nil:
		return r.Import.Gates
	case r.Copy != nil:
		return r.Copy.Gates
	case r.Batch != nil:
		return r.Batch.Gates
	case r.Transfer != nil:
		return r.Transfer.Gates
	case r.Apply != nil:
		return r.Apply.Gates
	}
	return nil
}

// foreignOf returns whether r says that foreign layers are copied; nil if it does not say.
func foreignOf(r wire.Request) *bool {
	if said := r.Foreign(); said != nil {
		return *said
	}
	return nil
}

// bringingOf returns who brings blobs according to r, and whether Azure may import what cannot be seen.
func bringingOf(r wire.Request) (by wire.Bringing, may wire.Unseen) {
	if b := r.Bringing(); b != nil {
		by = *b
	}
	if u := r.Unseen(); u != nil {
		may = *u
	}
	return by, may
}

// check checks everything in r that can be checked without a request to a registry.
func (s *Service) check(r wire.Request, at time.Time) error {
	err := checkChoices(r)
	if err == nil {
		_, err = s.gate(gatesOf(r))
	}
	if err != nil {
		return err
	}
	switch r.Kind {
	case wire.KindImport:
		var req dray.ImportRequest
		if req, err = buildImport(*r.Import, at); err == nil {
			_, _, err = s.dray.ImportNames(req)
		}
		err = cmp.Or(err, req.Backup.Check(), req.Referrers.Check())
	case wire.KindCopy:
		var req dray.CopyRequest
		req, err = buildCopy(*r.Copy, at)
		err = cmp.Or(err, req.Backup.Check(), req.Referrers.Check())
	case wire.KindTag:
		_, err = buildTag(*r.Tag)
	case wire.KindBatch:
		var req dray.BatchRequest
		req, err = buildBatch(*r.Batch, at)
		err = cmp.Or(err, req.Backup.Check(), req.Referrers.Check())
		for _, e := range r.Batch.Entries {
			_, unknown := s.gate(e.Gates)
			err = cmp.Or(err, unknown, remoteOnly(append([]string{e.Source, r.Batch.Target}, e.Targets...)...))
		}
	case wire.KindTransfer:
		var req dray.TransferRequest
		if req, err = buildTransfer(*r.Transfer, at); err == nil {
			_, _, err = s.dray.TransferEnds(req, nil)
		}
		err = cmp.Or(err, req.Backup.Check(), req.Referrers.Check())
	case wire.KindVerify:
		var req dray.VerifyRequest
		req, err = buildVerify(*r.Verify, at)
		err = cmp.Or(err, req.Of.Referrers.Check())
	case wire.KindPlan:
		if !r.Plan.Uploaded {
			err = s.check(r.Plan.Of(), at)
		}
	}
	return err
}

// checkChoices refuses unknown values of overwrite and hold.
func checkChoices(r wire.Request) error {
	var overwrite, hold string
	entries := []wire.BatchEntry{}
	switch {
	case r.Import != nil:
		overwrite, hold = r.Import.Overwrite, r.Import.Hold
	case r.Copy != nil:
		overwrite, hold = r.Copy.Overwrite, r.Copy.Hold
	case r.Tag != nil:
		hold = r.Tag.Hold
	case r.Batch != nil:
		overwrite, hold, entries = r.Batch.Overwrite, r.Batch.Hold, r.Batch.Entries
	case r.Transfer != nil:
		overwrite = r.Transfer.Overwrite
	}
	words := []string{overwrite}
	for _, e := range entries {
		words = append(words, e.Overwrite)
	}
	for _, w := range words {
		if !slices.Contains([]plan.Overwrite{"", plan.Refuse, plan.Update, plan.Always}, plan.Overwrite(w)) {
			return invalid("read request", r.Kind, "unknown overwrite "+strconv.Quote(w), "use refuse, update or always")
		}
	}
	if !slices.Contains([]plan.Hold{"", plan.Each, plan.All}, plan.Hold(hold)) {
		return invalid("read request", r.Kind, "unknown hold "+strconv.Quote(hold), "use each or all")
	}
	return nil
}

// checkVerb refuses a request that does not have exactly one verb, the one of its kind.
func checkVerb(r wire.Request) error {
	if !slices.Equal(r.Given(), []string{r.Kind}) {
		return invalid("read request", r.Kind, "the request must contain exactly one verb, the one of its kind",
			"use one of "+strings.Join(wire.Kinds(), ", "))
	}
	if r.Kind == wire.KindPlan && !r.Plan.Uploaded && len(r.Plan.Of().Given()) != 1 {
		return invalid("read request", r.Kind,
			"the plan must name exactly one verb", "use one of import, copy, tag, batch, transfer")
	}
	return nil
}

func invalid(op, name, cause, hint string) error {
	return &fault.Fault{Kind: fault.Invalid, Op: op, Name: name, Hint: hint, Err: errors.New(cause)}
}
