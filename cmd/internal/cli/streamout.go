package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// streamOut writes the answer of a streaming verb on stdout.
type streamOut interface {
	step(dray.StepReport) error
	flush() error // a repository is complete
	end(sum dray.TransferReport, problem error) error
}

func (a *app) newStreamOut(w streaming) streamOut {
	switch {
	case a.format == formatNone:
		return noStream{}
	case a.format == formatJSON && w.dryRun:
		return &planStream{w: a.out, head: plan.Plan{Verb: w.verb, Overwrite: w.overwrite, Hold: plan.Each, Backup: w.backup}}
	case a.format == formatJSON:
		return &jsonStream{w: a.out}
	case a.format == formatText:
		return lineStream{w: a.out, dryRun: w.dryRun}
	}
	out := &rowStream{tab: tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0), dryRun: w.dryRun}
	if out.w = io.Writer(out.tab); a.format == formatTSV {
		out.w = a.out
	}
	out.header = a.format == formatTable
	return out
}

// noStream is the format none.
type noStream struct{}

func (noStream) step(dray.StepReport) error           { return nil }
func (noStream) flush() error                         { return nil }
func (noStream) end(dray.TransferReport, error) error { return nil }

// lineStream is the format text: what was brought, or what would be done.
type lineStream struct {
	w      io.Writer
	dryRun bool
}

func (l lineStream) step(s dray.StepReport) error {
	line := ""
	switch {
	case l.dryRun && (s.Action != plan.Skip || s.Works()):
		line = s.Describe()
	case !l.dryRun && s.State == dray.Done:
		line = withDigest(targetName(s.Step), string(s.Digest()))
	}
	if line == "" {
		return nil
	}
	_, err := fmt.Fprintln(l.w, line)
	return err
}

func (l lineStream) flush() error                         { return nil }
func (l lineStream) end(dray.TransferReport, error) error { return nil }

// rowStream is the formats table and tsv. Columns of a table are as wide as one repository needs.
type rowStream struct {
	tab            *tabwriter.Writer
	w              io.Writer
	dryRun, header bool
}

func (r *rowStream) row(cells ...string) error {
	_, err := fmt.Fprintln(r.w, strings.Join(cells, "\t"))
	return err
}

func (r *rowStream) head() error {
	if !r.header {
		return nil
	}
	r.header = false
	if r.dryRun {
		return r.row("ACTION", "FROM", "TO", "DIGEST", "REPLACES")
	}
	return r.row("TARGET", "DIGEST", "STATE")
}

func (r *rowStream) step(s dray.StepReport) error {
	if err := r.head(); err != nil {
		return err
	}
	switch {
	case r.dryRun && (s.Action != plan.Skip || s.Works()):
		return r.row(string(s.Action), s.From.Repo.Tagged(s.From.Tag).String(), targetName(s.Step), string(s.Digest()), string(s.Replaces))
	case !r.dryRun && s.State == dray.Done:
		return r.row(targetName(s.Step), string(s.Digest()), string(s.State))
	}
	return nil
}

func (r *rowStream) flush() error { return r.tab.Flush() }

func (r *rowStream) end(dray.TransferReport, error) error {
	if err := r.head(); err != nil {
		return err
	}
	return r.tab.Flush()
}

// planStream is the format json of --dry-run: the form of a plan's file.
type planStream struct {
	w    io.Writer
	head plan.Plan
	out  *plan.Writer
}

func (p *planStream) open() (err error) {
	if p.out == nil {
		p.out, err = plan.NewWriter(p.w, p.head)
	}
	return err
}

func (p *planStream) step(s dray.StepReport) error {
	if err := p.open(); err != nil {
		return err
	}
	return p.out.Step(s.Step)
}

func (p *planStream) flush() error { return nil }

// end leaves a plan that could not be made whole without its last line, so that no reader takes it.
func (p *planStream) end(_ dray.TransferReport, problem error) error {
	if problem != nil && p.out == nil {
		return nil // nothing was planned, so there is no plan
	}
	if err := p.open(); err != nil {
		return err
	}
	if problem != nil {
		return p.out.Flush()
	}
	return p.out.Close()
}

// jsonStream is the format json: one value, whose steps are written as they end.
type jsonStream struct {
	w     io.Writer
	begun bool
}

func (j *jsonStream) step(s dray.StepReport) error {
	raw, err := marshal(s)
	if err != nil {
		return err
	}
	before := "{\n  \"steps\": [\n    "
	if j.begun {
		before = ",\n    "
	}
	j.begun = true
	_, err = fmt.Fprint(j.w, before, string(raw))
	return err
}

func (j *jsonStream) flush() error { return nil }

func (j *jsonStream) end(sum dray.TransferReport, problem error) error {
	tail := struct {
		dray.TransferReport
		Error *dray.Problem `json:"error,omitempty"`
	}{TransferReport: sum}
	if problem != nil {
		p := dray.ProblemOf(problem)
		tail.Error = &p
	}
	raw, err := marshal(tail)
	if err != nil {
		return err
	}
	before := "{\n  \"steps\": ["
	if j.begun {
		before = "\n  "
	}
	_, err = fmt.Fprint(j.w, before, "],\n  ", string(raw[1:]), "\n")
	return err
}

// marshal writes v on one line, and signs such as < as they are.
func marshal(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return []byte(strings.TrimSuffix(b.String(), "\n")), err
}

// failedList is what --failed-to keeps, written while the run goes on.
type failedList struct {
	path string
	temp *os.File // nil where nothing is kept
	n    int
}

// newFailedList begins a list beside its place, where a rename can bring it.
func newFailedList(w streaming) (*failedList, error) {
	l := &failedList{path: w.failedTo}
	if l.path == "" || w.dryRun {
		return l, nil
	}
	var err error
	if at, serr := os.Stat(l.path); serr == nil && !at.Mode().IsRegular() {
		l.temp, err = os.CreateTemp("", "dray-failed-*")
	} else {
		l.temp, err = besides(l.path)
	}
	if err == nil {
		_, err = fmt.Fprintf(l.temp, "# dray batch --force -f %s\n", oneLine(l.path))
	}
	if err != nil {
		return l, &fault.Fault{Kind: fault.Invalid, Op: "write", Name: l.path, Err: bare(err)}
	}
	return l, nil
}

// add writes down a step that is not done. What no list can say is a comment: a repository that could not
// be looked at, a tag about which sources differ.
func (l *failedList) add(s dray.StepReport) error {
	if l.temp == nil {
		return nil
	}
	l.n++
	why := "not begun"
	if s.Err != nil {
		why = s.Err.Error()
	}
	differ := s.Problem != nil && s.Problem.Kind == fault.Conflict && s.Problem.Side == fault.Source
	if differ || s.To.Tag == "" || s.To.IsLayout() || s.From.IsLayout() { // a list gives what it names a tag in a registry
		what := targetName(s.Step)
		if s.From.Digest == "" && s.To.Tag == "" {
			what = "the whole of " + s.To.String()
		}
		_, err := fmt.Fprintf(l.temp, "# %s: %s\n", what, oneLine(why))
		return err
	}
	from := s.From
	if from.Tag != "" {
		from.Digest = ""
	}
	one := config.List{Form: config.Text, Entries: []config.Entry{{Source: from.String(), Targets: []string{s.To.String()}}}}
	return one.Write(l.temp, func(int) string { return why })
}

// keep puts the list in its place; where nothing failed there is none afterwards.
func (l *failedList) keep() (where string, err error) {
	if l.temp == nil {
		return "", nil
	}
	defer l.discard()
	bad := func(err error) error {
		return &fault.Fault{Kind: fault.Unavailable, Op: "write", Name: l.path, Hint: "check the directory's rights and room", Err: bare(err)}
	}
	if l.n == 0 {
		if err := replace(l.path, nil); err != nil {
			return "", bad(err)
		}
		return "", nil
	}
	if err := l.settle(); err != nil {
		return "", bad(err)
	}
	return plural(l.n, "failure") + " listed in " + l.path, nil
}

func (l *failedList) settle() error {
	if err := l.temp.Sync(); err != nil {
		return err
	}
	if at, err := os.Stat(l.path); err == nil && !at.Mode().IsRegular() {
		data, err := os.ReadFile(l.temp.Name())
		if err != nil {
			return err
		}
		return os.WriteFile(l.path, data, 0)
	}
	return os.Rename(l.temp.Name(), l.path)
}

// discard takes away what is left of it.
func (l *failedList) discard() {
	if l.temp == nil {
		return
	}
	l.temp.Close()
	os.Remove(l.temp.Name())
	l.temp = nil
}
