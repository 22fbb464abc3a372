package moving

import (
	"bytes"
	"slices"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/cli/run"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/outfile"
	"github.com/drayage/dray/ref"
)

// leftover writes what a run of a list did not do to a file, as a list for the next run.
type leftover struct {
	path    string // "" means that no list is written
	list    config.List
	target  string            // the target of the dray.BatchRequest
	skips   bool              // an entry without a step was left out on purpose
	entries []dray.BatchEntry // made from list; none if the run ended before that
}

// route is a pair of a source name and a target name of a list.
type route struct{ from, to ref.Name }

// keep writes the entries that no step reports as done, in the order of the list, and returns a line that
// says where. Without steps, as after an interrupt before there was a plan, it writes all entries with
// why as their reason.
func (l *leftover) keep(d *dray.Dray, steps []dray.StepReport, why error) (where string, err error) {
	if l.path == "" {
		return "", nil
	}
	ended := endsOf(steps)
	rest := config.List{Form: l.list.Form}
	var reasons []string
	if l.entries == nil {
		rest.Entries, reasons = l.list.Entries, slices.Repeat([]string{notBegun(why)}, len(l.list.Entries))
	}
	for _, e := range l.entries {
		left, reason := l.left(d, e, ended, why)
		if left.Source == "" {
			continue
		}
		left.Overwrite, left.Own = string(e.Overwrite), e.Own
		rest.Entries = append(rest.Entries, left)
		reasons = append(reasons, reason)
	}
	var text bytes.Buffer
	if err := rest.Write(&text, func(i int) string { return reasons[i] }); err != nil {
		return "", err
	}
	if err := l.write(text.Bytes()); err != nil {
		return "", run.Unwritten("write", l.path, err)
	}
	if len(rest.Entries) == 0 {
		return "", nil
	}
	return out.Plural(len(rest.Entries), "image") + " left to do, listed in " + l.path, nil
}

// write writes the list. If nothing is left to do, there is no file afterwards.
func (l *leftover) write(text []byte) error {
	if len(text) == 0 {
		return outfile.Remove(l.path)
	}
	return outfile.Replace(l.path, text, 0o600)
}

// endsOf indexes steps by the names that a list has. The source of a step has a digest if the plan
// resolved its tag, but in the list it has none. If two sources with the same digest go to one target,
// the plan has one step for both, so steps are indexed by their target alone too.
func endsOf(steps []dray.StepReport) map[route]dray.StepReport {
	ended := map[route]dray.StepReport{}
	for _, s := range steps {
		if s.Problem != nil {
			continue
		}
		ended[route{to: s.To}] = s
		ended[route{s.From, s.To}] = s
		ended[route{s.From.Repo.Tagged(s.From.Tag), s.To}] = s
	}
	for _, s := range steps {
		if s.Problem != nil {
			ended[route{s.From, s.To}] = s
			ended[route{s.From.Repo.Tagged(s.From.Tag), s.To}] = s
		}
	}
	return ended
}

func notBegun(why error) string {
	if why == nil {
		return "not begun"
	}
	return "not begun: " + why.Error()
}

// left returns the part of an entry that is not done, with full names, and the reason. The entry has no
// source if all of it is done.
func (l *leftover) left(
	d *dray.Dray, e dray.BatchEntry, ended map[route]dray.StepReport, why error,
) (config.Entry, string) {
	from, to, err := d.EntryNames(e, l.target, nil)
	if err != nil {
		// The list is a new file, which may be kept for longer than the one with the login.
		bad := config.Entry{Source: fault.WithoutLogins(e.Source)}
		for _, to := range e.Targets {
			bad.Targets = append(bad.Targets, fault.WithoutLogins(to))
		}
		return bad, err.Error()
	}
	reason := notBegun(nil)
	if len(ended) == 0 {
		reason = notBegun(why)
	}
	left := config.Entry{}
	for _, n := range to {
		s, known := ended[route{from, n}]
		if !known && n.Tag != "" {
			s = ended[route{to: n}]
		}
		if !known && s.State == "" && l.skips && why == nil {
			continue
		}
		if s.State == dray.Done || s.State == dray.Unchanged {
			continue
		}
		switch {
		case len(left.Targets) > 0:
		case s.Err != nil:
			reason = s.Err.Error()
		case s.State == dray.NotFinished:
			reason = out.StateWord(s.State)
		}
		left.Source = from.String()
		left.Targets = append(left.Targets, n.String())
	}
	return left, reason
}
