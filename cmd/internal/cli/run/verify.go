package run

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/internal/outfile"
)

// Verify compares both sides and prints the differences as it finds them.
func Verify(a *app.App, cmd *cobra.Command, w Verifying) error {
	if err := CheckWritable(w.Receipt, ""); err != nil {
		return err
	}
	at, err := placeFor(a, cmd, w.Ask, false)
	if err != nil {
		return err
	}
	defer at.close()
	return VerifyAt(cmd.Context(), a, at, w)
}

// VerifyAt is Verify at a place that the caller has found.
func VerifyAt(ctx context.Context, a *app.App, at Place, w Verifying) error {
	began := time.Now()
	s := a.NewStory()
	defer s.End()
	s.Far("comparing names")
	t := &troubles{app: a, story: s}
	receipt, err := at.verify(ctx, w, s, t.see)
	s.End()
	if left, ok := errors.AsType[*leftOn](err); ok {
		return tellGoesOn(a, left)
	}
	interrupted := err != nil && ctx.Err() != nil
	compared, unwritten := t.close()
	switch {
	case interrupted:
		a.Warnf("interrupted: %s compared; run the same command again", out.Plural(compared, "name"))
		return out.Ended(out.ExitInterrupted)
	case err != nil && receipt.Matches[dray.Unproven] == 0:
		return err
	case unwritten != nil:
		return unwritten
	}
	return endVerify(a, w.Receipt, receipt, t.failures, time.Since(began))
}

// endVerify prints the receipt and the summary, and returns the exit code.
func endVerify(a *app.App, receipt string, r dray.Receipt, failures []error, took time.Duration) error {
	if a.Format == out.FormatJSON {
		if err := a.PrintJSON(r); err != nil {
			return err
		}
	}
	lost := keepReceipt(receipt, r)
	if lost != nil {
		a.Fail(lost)
	}
	if !a.Quiet {
		for _, n := range r.Notes {
			a.Warnf("note: %s", n)
		}
		a.Warnf("%s", verifySummary(r, took))
	}
	a.TellLost(r.InUse)
	switch {
	case len(failures) == r.Names && r.Names > 0:
		return out.Ended(out.ExitOf(0, failures))
	case lost != nil:
		return out.Ended(out.ExitFailed)
	case r.Matches[dray.Unproven] > 0:
		return out.Ended(out.ExitPartly)
	case !r.Right():
		return out.Ended(out.ExitDiffers)
	}
	return nil
}

func keepReceipt(path string, r dray.Receipt) error {
	if path == "" {
		return nil
	}
	var text bytes.Buffer
	err := out.WriteJSON(&text, r)
	if err == nil {
		err = outfile.Replace(path, text.Bytes(), 0o600)
	}
	if err != nil {
		return Unwritten("write receipt", path, err)
	}
	return nil
}

// verifySummary returns a line such as "verified 42 names in 3 repositories by digests: 40 the same, 1 differs,
// 1 missing, 3 only at the target: 12 requests, 0.3 s".
func verifySummary(r dray.Receipt, took time.Duration) string {
	parts := []string{}
	for _, m := range []dray.Match{dray.Same, dray.Differs, dray.Absent, dray.Incomplete, dray.Corrupted, dray.Unproven} {
		n := r.Matches[m]
		if n == 0 && m != dray.Same {
			continue
		}
		part := fmt.Sprintf("%d %s", n, m)
		if m == dray.Same {
			part = fmt.Sprintf("%d the same", n)
		}
		if m == dray.Same && r.Healed > 0 {
			part += fmt.Sprintf(" (%d healed)", r.Healed)
		}
		parts = append(parts, part)
	}
	if r.InUse != nil {
		parts = append(parts, out.InUse(r.InUse))
	}
	if r.Extra > 0 {
		parts = append(parts, fmt.Sprintf("%d only at the target", r.Extra))
	}
	tail := []string{}
	if r.Depth != dray.Digests {
		manifests, blobs := out.Plural(r.Looked.Documents, "manifest"), out.Plural(r.Looked.Blobs, "blob")
		tail = append(tail, manifests+" and "+blobs+" looked at")
	}
	if r.Looked.Read > 0 {
		tail = append(tail, out.Size(r.Looked.Bytes)+" read")
	}
	tail = append(tail, out.Requests(dray.Report{Traffic: r.Traffic}))
	tail = append(append(tail, out.Pulls(dray.Report{Pulls: r.Pulls})...), out.Seconds(took))
	head := fmt.Sprintf("verified %s in %s by %s",
		out.Plural(r.Names, "name"), out.Repositories(r.Repositories), r.Depth)
	return head + ": " + strings.Join(parts, ", ") + ": " + strings.Join(tail, ", ")
}

// troubles prints each name that differs. After close it prints nothing, so that a run that did not return
// after an interrupt does not disturb the output.
type troubles struct {
	app   *app.App
	story *out.Story

	mu   sync.Mutex
	over bool
	seen int

	failures []error  // of names that could not be compared
	tab      *out.Tab // of the format table
}

// close ends the table, and returns how many names were seen.
func (t *troubles) close() (seen int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	if t.tab != nil {
		err = t.tab.Flush()
	}
	return t.seen, err
}

func (t *troubles) see(e dray.VerifyEntry) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return out.ErrOver
	}
	t.seen++
	t.story.Far(out.Plural(t.seen, "name") + " compared")
	if e.Err != nil {
		t.story.Say(strings.TrimPrefix(out.ErrorLine(e.Err), "dray: "))
	}
	if e.Healed {
		t.story.Note(e.To.String() + ": healed")
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
	switch t.app.Format {
	case out.FormatJSON, out.FormatNone:
	case out.FormatTSV:
		err = t.app.PrintRow(cells...)
	case out.FormatTable:
		if t.tab == nil {
			tab := t.app.NewTab()
			t.tab = &tab
			t.tab.Add("MATCH", "FROM", "TO", "SOURCE", "TARGET", "LACKS")
		}
		err = t.tab.Row(cells...)
	default:
		err = t.app.Println(out.OneLine(troubleLine(e)))
	}
	return err
}

// troubleLine returns a line such as "differs     HOST/REPO:TAG  is sha256:…, the source sha256:…".
func troubleLine(e dray.VerifyEntry) string {
	name := e.To.String()
	if e.To.Tag == "" && e.To.Digest == "" {
		name = e.To.Repo.String()
	}
	line := fmt.Sprintf("%-10s  %s", e.Match, name)
	switch e.Match {
	case dray.Differs:
		line += fmt.Sprintf("  is %s, the source %s", e.Target, e.Trim.Told(cmp.Or(e.Origin, e.Source)))
	case dray.Absent:
		line += "  the source is " + e.Trim.Told(cmp.Or(e.Origin, e.Source))
	case dray.Incomplete, dray.Corrupted:
		line += "  " + lacks(e)
	}
	return line
}

// lacks returns a text with the first three contents that are missing or damaged.
func lacks(e dray.VerifyEntry) string {
	const most = 3
	var parts []string
	for i, l := range e.Lacks {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(e.Lacks)-most))
			break
		}
		parts = append(parts, fmt.Sprintf("%s %s (%s) %s", l.What, l.Digest, out.Size(l.Size), l.Why))
	}
	return strings.Join(parts, ", ")
}
