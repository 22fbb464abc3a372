package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// verifyFlags are those of verify: transfer's choice of names, and how deep to look.
type verifyFlags struct {
	ends
	deep    bool
	rehash  string // "" is not, "all", "sample", or "N%"
	heal    bool
	receipt string
	by      string
}

func newVerify(a *app) *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify SOURCE... TARGET",
		Short: "Prove that a target holds what its source holds",
		Long: "Compare what names point to at both ends: one line of a listing or one HEAD for each. The ends\n" +
			"are those of transfer, with the same flags, or two images, or layouts (oci:DIR). With --deep all\n" +
			"that is below a name is asked for at TARGET, with its size; with --rehash it is read there. Tags\n" +
			"that only TARGET has are counted and are no trouble. Prints a line for each trouble; -o json\n" +
			"prints a receipt. Nothing is written but by --heal. Exit code 0: all the same, 7: not all, 1:\n" +
			"not all could be compared.",
		Example: "  dray verify dev prod\n" +
			"  dray verify ghcr.io/acme/app:v1 prod/acme/app --deep\n" +
			"  dray verify dev/team/ prod/mirror/ --rehash=10% --receipt proof.json\n" +
			"  dray verify dev prod --deep --heal",
		Args: atLeast(2, "SOURCE... TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runVerify(cmd, f, args) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&f.deep, "deep", false, "ask TARGET for each manifest, config, layer and referrer, with its size")
	flags.StringVar(&f.rehash, "rehash", "", "as --deep, and read the bytes at TARGET; of `N%` of the blobs, the same ones each time; sample is 10% (default all)")
	flags.Lookup("rehash").NoOptDefVal = "all"
	flags.BoolVar(&f.heal, "heal", false, "send what --deep or --rehash find lacking, then look again; no tag is set")
	flags.StringVar(&f.receipt, "receipt", "", "write the receipt, a JSON object, to `FILE`")
	flags.StringVar(&f.by, "by", "", "who asks: a `TEXT` for the receipt")
	f.addSelectionTo(flags)
	f.addMappingTo(flags)
	flags.StringArrayVar(&f.prefer, "prefer", nil, "where sources differ about a tag this `SOURCE`'s counts; repeatable, the first counts most")
	flags.BoolVar(&f.explain, "explain", false, "tell on stderr for each repository and tag which rule kept or dropped it")
	flags.Lookup("max-repositories").Usage = "`N` accepted, as transfer takes it; all repositories are compared"
	a.common.addHandOverTo(flags)
	a.common.addRegistryTo(flags)
	return cmd
}

func (a *app) runVerify(cmd *cobra.Command, f verifyFlags, args []string) error {
	req, err := a.verifyRequest(cmd, &f, args, time.Now())
	if err != nil {
		return err
	}
	w := verifying{
		receipt: f.receipt,
		run: func(ctx context.Context, d *dray.Dray, tell event.Observer, s *story, visit func(dray.VerifyEntry) error) (r dray.Receipt, err error) {
			f.explainTo(s.sayLines, &req.Of)
			return d.Verify(ctx, req, tell, visit)
		},
		ask: func(context.Context, *client.Client, *dray.Dray) (wire.Request, error) {
			return verifyJSON(&f.ends, req), f.told(cmd)
		},
	}
	return a.verify(cmd, w)
}

// verifying is one run of verify.
type verifying struct {
	receipt string // the file that gets it; "" is none
	run     func(context.Context, *dray.Dray, event.Observer, *story, func(dray.VerifyEntry) error) (dray.Receipt, error)
	ask     ask // the same at a server
}

// verify compares, and tells of it while it does.
func (a *app) verify(cmd *cobra.Command, w verifying) error {
	at, err := a.place(cmd, w.ask, false)
	if err != nil {
		return err
	}
	defer at.close()
	return a.verifyAt(cmd.Context(), at, w)
}

func (a *app) verifyAt(ctx context.Context, at place, w verifying) error {
	began := time.Now()
	s := a.newStory()
	defer s.end()
	t := &troubles{app: a, story: s}
	receipt, err := at.verify(ctx, w, s, t.see)
	s.end()
	var left *leftOn
	if errors.As(err, &left) {
		return a.tellGoesOn(left)
	}
	interrupted := err != nil && ctx.Err() != nil
	if interrupted {
		a.warn("interrupted: %s compared; run the same command again", plural(t.close(), "name"))
		return ended(exitInterrupted)
	}
	t.close()
	if err != nil && receipt.Matches[dray.Unproven] == 0 {
		return err
	}
	return a.endVerify(w.receipt, receipt, t.failures, time.Since(began))
}

func (a *app) verifyRequest(cmd *cobra.Command, f *verifyFlags, args []string, now time.Time) (req dray.VerifyRequest, err error) {
	req = dray.VerifyRequest{Depth: dray.Digests, Heal: f.heal, By: f.by, Tool: "dray " + thisBuild().Version, When: now}
	switch {
	case f.rehash == "all":
		req.Depth = dray.Rehash
	case f.rehash != "":
		req.Depth = dray.Rehash
		share := f.rehash
		if share == "sample" {
			share = "10%"
		}
		n, percent := strings.CutSuffix(share, "%")
		if req.Sample, err = strconv.Atoi(n); err != nil || !percent || req.Sample < 1 || req.Sample > 100 {
			return req, usageError(cmd, fmt.Errorf("--rehash=%s: not 1%% to 100%%", f.rehash), "as in --rehash=10%, which --rehash=sample is too")
		}
	case f.deep:
		req.Depth = dray.Deep
	case f.heal:
		return req, usageError(cmd, errors.New("--heal without --deep or --rehash: digests alone do not tell what is lacking"), "add --deep")
	}
	if err := f.ends.check(cmd); err != nil {
		return req, err
	}
	if req.Of, err = f.ends.request(cmd, a.IO.In, args); err != nil {
		return req, err
	}
	req.Of.Overwrite = plan.Update
	if req.Of.SourceLogin, err = a.sourceLogin(cmd.Context()); err != nil {
		return req, err
	}
	req.Of.TargetLogin, err = a.targetLogin(cmd.Context())
	return req, err
}

// endVerify prints what is left to say and returns the exit code.
func (a *app) endVerify(receipt string, r dray.Receipt, failures []error, took time.Duration) error {
	if a.format == formatJSON {
		if err := a.printJSON(r); err != nil {
			return err
		}
	}
	lost := a.keepReceipt(receipt, r)
	if lost != nil {
		a.fail(lost)
	}
	if !a.quiet {
		for _, n := range r.Notes {
			a.warn("note: %s", n)
		}
		a.warn("%s", verifySummary(r, took))
	}
	a.tellLost(r.InUse)
	switch {
	case len(failures) == r.Names && r.Names > 0:
		return ended(exitOf(0, failures))
	case r.Matches[dray.Unproven] > 0 || lost != nil:
		return ended(exitFailed)
	case !r.Right():
		return ended(exitDiffers)
	}
	return nil
}

func (a *app) keepReceipt(path string, r dray.Receipt) error {
	if path == "" {
		return nil
	}
	// A receipt is there whole or not at all.
	tmp, err := os.CreateTemp(filepath.Dir(path), ".receipt-*")
	if err == nil {
		defer os.Remove(tmp.Name())
		err = errors.Join(writeJSON(tmp, r), tmp.Close())
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return &fault.Fault{Kind: fault.Invalid, Op: "write receipt", Name: path, Err: bare(err)}
	}
	return nil
}

// verifySummary is "verified 42 names in 3 repositories by digests: 40 same, 1 differs, 1 missing, 3 only at the target: 12 requests, 0.3 s".
func verifySummary(r dray.Receipt, took time.Duration) string {
	parts := []string{}
	for _, m := range []dray.Match{dray.Same, dray.Differs, dray.Absent, dray.Incomplete, dray.Corrupted, dray.Unproven} {
		n := r.Matches[m]
		if n == 0 && m != dray.Same {
			continue
		}
		part := fmt.Sprintf("%d %s", n, m)
		if m == dray.Same && r.Healed > 0 {
			part += fmt.Sprintf(" (%d healed)", r.Healed)
		}
		parts = append(parts, part)
	}
	if r.InUse != nil {
		parts = append(parts, inUse(r.InUse))
	}
	if r.Extra > 0 {
		parts = append(parts, fmt.Sprintf("%d only at the target", r.Extra))
	}
	tail := []string{}
	if r.Depth != dray.Digests {
		tail = append(tail, fmt.Sprintf("%s and %s looked at", plural(r.Looked.Documents, "manifest"), plural(r.Looked.Blobs, "blob")))
	}
	if r.Looked.Read > 0 {
		tail = append(tail, size(r.Looked.Bytes)+" read")
	}
	tail = append(tail, requests(dray.Report{Traffic: r.Traffic}))
	tail = append(append(tail, pulls(dray.Report{Pulls: r.Pulls})...), seconds(took))
	return fmt.Sprintf("verified %s in %s by %s: %s: %s", plural(r.Names, "name"), repositories(r.Repositories), r.Depth,
		strings.Join(parts, ", "), strings.Join(tail, ", "))
}

// troubles tells of each name that is not the same. After close it is silent.
type troubles struct {
	app   *app
	story *story

	mu   sync.Mutex
	over bool
	seen int

	failures []error           // of what could not be compared
	tab      *tabwriter.Writer // of the format table
}

func (t *troubles) close() (seen int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	if t.tab != nil {
		t.tab.Flush()
	}
	return t.seen
}

func (t *troubles) see(e dray.VerifyEntry) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return errOver
	}
	t.seen++
	t.story.far(plural(t.seen, "name") + " compared")
	if e.Err != nil {
		t.story.say(strings.TrimPrefix(errorLine(e.Err), "dray: "))
	}
	if e.Healed {
		t.story.note(e.To.String() + ": healed")
	}
	if e.Match == dray.Unproven {
		t.failures = append(t.failures, e.Err)
	}
	if e.Match == dray.Same {
		return nil
	}
	return t.print(e)
}

func (t *troubles) print(e dray.VerifyEntry) error {
	cells := []string{string(e.Match), e.From.String(), e.To.String(), string(e.Source), string(e.Target), lacks(e)}
	var err error
	switch t.app.format {
	case formatJSON, formatNone:
	case formatTSV:
		_, err = fmt.Fprintln(t.app.out, strings.Join(cells, "\t"))
	case formatTable:
		if t.tab == nil {
			t.tab = tabwriter.NewWriter(t.app.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t.tab, "MATCH\tFROM\tTO\tSOURCE\tTARGET\tLACKS")
		}
		_, err = fmt.Fprintln(t.tab, strings.Join(cells, "\t"))
	default:
		_, err = fmt.Fprintln(t.app.out, oneLine(troubleLine(e)))
	}
	return err
}

// troubleLine is "differs     HOST/REPO:TAG  is sha256:…, the source sha256:…".
func troubleLine(e dray.VerifyEntry) string {
	name := e.To.String()
	if e.To.Tag == "" && e.To.Digest == "" {
		name = e.To.Repo.String()
	}
	line := fmt.Sprintf("%-10s  %s", e.Match, name)
	switch e.Match {
	case dray.Differs:
		line += fmt.Sprintf("  is %s, the source %s", e.Target, e.Source)
	case dray.Absent:
		line += fmt.Sprintf("  the source is %s", e.Source)
	case dray.Incomplete, dray.Corrupted:
		line += "  " + lacks(e)
	}
	return line
}

// lacks names the first of what is lacking.
func lacks(e dray.VerifyEntry) string {
	const most = 3
	var parts []string
	for i, l := range e.Lacks {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(e.Lacks)-most))
			break
		}
		parts = append(parts, fmt.Sprintf("%s %s (%s) %s", l.What, l.Digest, size(l.Size), l.Why))
	}
	return strings.Join(parts, ", ")
}
