package dray

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"slices"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Depth says how much of a target is looked at.
type Depth string

const (
	// Digests compares what names point to: one line of a listing or one HEAD for each
	// name and side. It believes a target that its tags are complete.
	Digests Depth = "digests"

	// Deep reads each manifest at the target, asks there for each config and layer, with its
	// size, and for each referrer that the source has.
	Deep Depth = "deep"

	// Rehash is Deep, and reads the configs and layers at the target.
	Rehash Depth = "rehash"
)

// Match says how a target's name compares with its source.
type Match string

const (
	Same       Match = "same"       // as far as Depth looks
	Differs    Match = "differs"    // the name points to something else
	Absent     Match = "missing"    // the name is not there
	Incomplete Match = "incomplete" // the name is right, and something below it is not there
	Corrupted  Match = "corrupt"    // the name is right, and something below it has other bytes
	Unproven   Match = "unknown"    // it could not be found out; see Err
)

// VerifyEntry is one name and how it compares.
type VerifyEntry struct {
	From   ref.Name   `json:"from"`
	To     ref.Name   `json:"to"`
	Match  Match      `json:"match"`
	Source oci.Digest `json:"source,omitempty"` // what From points to
	Target oci.Digest `json:"target,omitempty"` // what To points to
	Lacks  []Lack     `json:"lacks,omitempty"`  // what is wrong below it; after a repair, what is left of that
	Healed bool       `json:"healed,omitempty"` // it was repaired, and is right now
	Err    error      `json:"-"`                // why it is not known, or could not be repaired
}

// Lack is content that a target should have.
type Lack struct {
	What   string     `json:"what"` // "manifest", "child", "config", "layer", "referrer"
	Digest oci.Digest `json:"digest"`
	Size   int64      `json:"size"`
	Why    string     `json:"why"` // "missing", "corrupt", "unlisted" of a referrer that is there
}

// MarshalJSON writes the entry and, where something failed, the problem.
func (e VerifyEntry) MarshalJSON() ([]byte, error) {
	type plain VerifyEntry
	out := struct {
		plain
		Problem *plan.Problem `json:"error,omitempty"`
	}{plain: plain(e)}
	if e.Err != nil {
		out.Problem = plan.ProblemOf(e.Err)
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote; Err is then of the same Kind and words.
func (e *VerifyEntry) UnmarshalJSON(raw []byte) error {
	type plain VerifyEntry
	in := struct {
		*plain
		Problem *plan.Problem `json:"error"`
	}{plain: (*plain)(e)}
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	if in.Problem != nil {
		e.Err = in.Problem.Err()
	}
	return nil
}

// Receipt is what Verify found, for the record.
type Receipt struct {
	Format       int                `json:"format"` // 1
	Tool         string             `json:"tool,omitempty"`
	By           string             `json:"by,omitempty"`
	When         time.Time          `json:"when"`
	Sources      []string           `json:"sources"`
	Target       string             `json:"target"`
	Depth        Depth              `json:"depth"`
	Sample       int                `json:"sample,omitempty"` // per cent; 0 is all
	Repositories int                `json:"repositories"`     // at the target
	Names        int                `json:"names"`            // that were compared
	Matches      map[Match]int      `json:"matches"`
	Extra        int                `json:"extra"` // tags that only the targets have; no trouble
	InUse        *InUseReport       `json:"inUse,omitempty"`
	Healed       int                `json:"healed,omitempty"` // among the Same
	Looked       Looked             `json:"looked"`
	Digest       oci.Digest         `json:"digest"`             // of a line "TO SOURCE MATCH\n" for each name, in order
	Troubles     []VerifyEntry      `json:"troubles,omitempty"` // up to MaxTroubles
	Traffic      map[string]Traffic `json:"traffic"`
	Pulls        map[string]Pulls   `json:"pulls,omitempty"` // by registry host, of those that count them
	Notes        []string           `json:"notes,omitempty"`
	Took         time.Duration      `json:"tookNanoseconds"`
}

// Looked counts what was looked at in the targets, each once for a repository.
type Looked struct {
	Documents int   `json:"documents"` // manifests and indexes, read
	Blobs     int   `json:"blobs"`     // configs and layers, asked for
	Read      int   `json:"read"`      // of these, read
	Bytes     int64 `json:"bytes"`     // read
}

// MaxTroubles is how many entries a Receipt lists; visit is told all.
const MaxTroubles = 10_000

// Right reports whether all that was compared is the same, and nothing that is in use is lost.
func (r Receipt) Right() bool {
	return r.Names == r.Matches[Same] && (r.InUse == nil || len(r.InUse.Lost) == 0)
}

// verifyRequest is what a verification is asked for. The public VerifyRequest has the words about each.
type verifyRequest struct {
	Of     sweepRequest
	Depth  Depth
	Sample int
	Heal   bool
	By     string
	Tool   string
	When   time.Time
}

// verify compares targets with their sources and calls visit with each name.
func verify(ctx context.Context, b *base, names *reader, req verifyRequest, obs event.Observer, visit func(VerifyEntry) error) (Receipt, error) {
	v, err := newVerifying(b, names, req, obs)
	if err != nil {
		return Receipt{}, err
	}
	began := time.Now()
	landings, err := v.pairs(ctx)
	if err == nil {
		err = v.follow()
	}
	if err != nil {
		return v.receipt, err
	}
	err = inOrder(ctx, v.abreast(), landings, v.compare, func(ctx context.Context, got compared) error {
		if ctx.Err() != nil {
			return canceled(ctx, "verify")
		}
		return v.take(got, visit)
	})
	if ctx.Err() != nil {
		err = canceled(ctx, "verify")
	}
	if v.receipt.Names == 0 && err == nil && v.first == nil {
		v.report.note("there was nothing to compare")
	}
	if err == nil {
		v.receipt.InUse = v.running.end()
	}
	sum, _ := v.endPlan(nil)
	v.receipt.Traffic, v.receipt.Pulls, v.receipt.Notes, v.receipt.Took = sum.Traffic, sum.Pulls, sum.Notes, time.Since(began)
	v.receipt.Digest = oci.Digest(fmt.Sprintf("sha256:%x", v.lines.Sum(nil)))
	return v.receipt, cmp.Or(err, v.first)
}

// verifying is one verification.
type verifying struct {
	*transferring
	of      verifyRequest
	image   *pair // one image is compared
	lines   hash.Hash
	receipt Receipt
	first   error
}

// pair is one image and where it should be.
type pair struct{ from, to ref.Name }

func newVerifying(b *base, names *reader, req verifyRequest, obs event.Observer) (*verifying, error) {
	req.Depth = cmp.Or(req.Depth, Digests)
	switch {
	case !slices.Contains([]Depth{Digests, Deep, Rehash}, req.Depth):
		return nil, invalid("verify", string(req.Depth), "not one of digests, deep, rehash", "")
	case req.Sample < 0 || req.Sample > 100 || req.Sample > 0 && req.Depth != Rehash:
		return nil, invalid("verify", fmt.Sprint(req.Sample), "a sample is 1 to 100 of 100 blobs that are read", "")
	case req.Heal && req.Depth == Digests:
		return nil, invalid("verify", "", "digests alone do not tell what is to be repaired", "look deeper: --deep or --rehash")
	}
	of := req.Of
	of.Overwrite = plan.Update
	of.Incremental = false // what is verified is all of it
	v := &verifying{transferring: newTransferring(b, names, of, obs), of: req, lines: sha256.New()}
	v.receipt = Receipt{Format: 1, Tool: req.Tool, By: req.By, When: req.When.UTC(), Sources: of.Sources, Target: of.Target,
		Depth: req.Depth, Sample: req.Sample, Matches: map[Match]int{}, Traffic: map[string]Traffic{}}
	return v, nil
}

// abreast is how many repositories are compared side by side: each that is looked into
// holds what it saw.
func (v *verifying) abreast() int {
	if v.of.Depth == Digests {
		return planning
	}
	return cap(v.images)
}

// pairs finds what is to be compared with what.
func (v *verifying) pairs(ctx context.Context) ([]plan.Landing, error) {
	if len(v.req.Sources) != 1 || !v.isName(v.req.Sources[0]) && !v.isName(v.req.Target) {
		return v.landings(ctx)
	}
	from, err := v.names.parse(v.req.Sources[0])
	if err != nil {
		return nil, err
	}
	to, err := v.names.parse(v.req.Target)
	if err != nil {
		return nil, err
	}
	if err := v.req.Map.Check(); err != nil {
		return nil, err
	}
	if bare := from.Tag == "" && from.Digest == ""; bare && (to.Tag != "" || to.Digest != "") {
		return nil, invalid("verify", to.String(), "the source names all tags, the target one image", "name a tag at both")
	} else if !bare {
		if to.Tag == "" && to.Digest == "" {
			to.Tag, to.Digest = from.Tag, from.Digest
		}
		v.image = &pair{from, to}
	}
	v.Rank = func(ref.Repo) int { return 0 }
	return []plan.Landing{{To: to.Repo, From: []ref.Repo{from.Repo}}}, nil
}

// isName reports whether s names an image or a layout, which a transfer does not take.
func (v *verifying) isName(s string) bool {
	if isLayouts(s) {
		return false
	}
	if _, _, whole, err := v.names.registryName(s); err != nil || whole {
		return false
	}
	n, err := v.names.parse(s)
	return err == nil && (n.IsLayout() || n.Tag != "" || n.Digest != "")
}

// compared is what came of one target repository.
type compared struct {
	Looking
	extra   int
	notes   []string
	explain []plan.Explain
}

// compare looks at one target repository and its sources.
func (v *verifying) compare(ctx context.Context, l plan.Landing) compared {
	s := v.begin()
	s.looks = true
	defer s.release()
	p := surveyed{RepositoryPlan: RepositoryPlan{To: l.To, From: l.From}, session: s}
	k := newLooking(v.scope, l, &p)
	steps, err := v.steps(ctx, k)
	if err != nil {
		steps = []plan.Step{{Action: plan.Broken, From: k.troubled(), To: l.To.Tagged(""), Problem: plan.ProblemOf(err)}}
	}
	got := compared{Looking: Looking{To: l.To, From: l.From}, extra: k.extra, notes: p.notes, explain: p.explains}
	for _, step := range steps {
		got.Entries = append(got.Entries, entryOf(step))
	}
	if v.of.Depth != Digests {
		p := v.prover(v.of.Depth, v.of.Sample)
		p.Heal = v.of.Heal
		p.Into(ctx, s, &got.Looking)
	}
	return got
}

// steps surveys a landing, or one image.
func (v *verifying) steps(ctx context.Context, k *looking) ([]plan.Step, error) {
	if v.image == nil {
		src, dst, lost, err := k.survey(ctx)
		if err != nil {
			return nil, err
		}
		return k.merge(src, dst, lost)
	}
	from, to := v.image.from, v.image.to
	src, err := k.plan.session.surveySource(ctx, from)
	if err != nil {
		return nil, err
	}
	dst := plan.Inventory{}
	at, err := k.plan.session.target(to.Repo, layout.Read)
	if err != nil {
		return nil, err
	}
	have, err := at.Resolve(ctx, reference(to))
	switch {
	case err == nil:
		dst[to] = have
	case !fault.Is(err, fault.NotFound):
		return nil, fault.On(fault.Target, err)
	}
	return plan.Make(src, dst, plan.Rules{Overwrite: plan.Update, Targets: func(ref.Name) []ref.Name { return []ref.Name{to} }})
}

// entryOf reads a step as an answer.
func entryOf(s plan.Step) VerifyEntry {
	e := VerifyEntry{From: s.From, To: s.To, Source: s.Digest(), Target: s.Replaces}
	e.From.Digest = ""
	if s.From.Tag == "" {
		e.From.Digest, e.To.Digest = s.From.Digest, s.From.Digest
	}
	if s.To.Tag != "" {
		e.To.Digest = ""
	}
	switch {
	case s.Action == plan.Broken:
		e.Match, e.Err = Unproven, s.Problem.Err()
	case s.Action == plan.Skip:
		e.Match = Same
	case s.Replaces != "":
		e.Match = Differs
	default:
		e.Match = Absent
	}
	return e
}

// take writes down what came of one repository and tells it.
func (v *verifying) take(got compared, visit func(VerifyEntry) error) error {
	v.running.see(got.From, nil)
	v.remember(got)
	v.explain(got.explain...)
	for _, n := range got.notes {
		v.report.note("%s", n)
	}
	r := &v.receipt
	r.Repositories++
	r.Extra += got.extra
	r.Looked.Documents += got.Looked.Documents
	r.Looked.Blobs += got.Looked.Blobs
	r.Looked.Read += got.Looked.Read
	r.Looked.Bytes += got.Looked.Bytes
	for _, e := range got.Entries {
		r.Names++
		r.Matches[e.Match]++
		if e.Healed {
			r.Healed++
		}
		if e.Match != Unproven {
			v.running.brought(ref.Name{Repo: e.From.Repo, Tag: e.From.Tag, Digest: string(e.Source)})
		}
		if e.Match == Unproven && v.first == nil {
			v.first = e.Err
		}
		if e.Match != Same && len(r.Troubles) < MaxTroubles {
			r.Troubles = append(r.Troubles, e)
		}
		fmt.Fprintf(v.lines, "%s %s %s\n", e.To, e.Source, e.Match)
		if err := visit(e); err != nil {
			return err
		}
	}
	return nil
}
