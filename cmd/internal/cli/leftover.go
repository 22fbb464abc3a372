package cli

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// leftover is what a run of a list has still to do, as a list again.
type leftover struct {
	path    string // "" keeps nothing
	list    config.List
	target  string // as in dray.BatchRequest
	entries func(*dray.Dray, config.List) []dray.BatchEntry
}

// route is one source name and one target name of a list.
type route struct{ from, to ref.Name }

// keep writes the entries that no step says to be done, in the list's order. It may run after an
// interrupt: without steps all entries are left, for the reason why.
func (l leftover) keep(d *dray.Dray, steps []dray.StepReport, why error) (where string, err error) {
	if l.path == "" {
		return "", nil
	}
	ended := endsOf(steps)
	rest := config.List{Form: l.list.Form}
	var reasons []string
	for _, e := range l.entries(d, l.list) {
		left, reason := l.left(d, e, ended, why)
		if left.Source == "" {
			continue
		}
		left.Overwrite = string(e.Overwrite)
		rest.Entries = append(rest.Entries, left)
		reasons = append(reasons, reason)
	}
	var text bytes.Buffer
	if err := rest.Write(&text, func(i int) string { return reasons[i] }); err != nil {
		return "", err
	}
	if err := replace(l.path, text.Bytes()); err != nil {
		return "", &fault.Fault{Kind: fault.Unavailable, Op: "write", Name: l.path, Hint: "check the directory's rights and room", Err: bare(err)}
	}
	if len(rest.Entries) == 0 {
		return "", nil
	}
	return plural(len(rest.Entries), "image") + " left to do, listed in " + l.path, nil
}

// endsOf finds steps by what a list says. Where the plan resolved a tag, the list has the name without
// the digest; and of two sources with one digest that go to one name, the plan has one step.
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
		}
	}
	return ended
}

// left is what remains of an entry, with full names, and why; an Entry without a source where all is done.
func (l leftover) left(d *dray.Dray, e dray.BatchEntry, ended map[route]dray.StepReport, why error) (config.Entry, string) {
	from, to, err := d.EntryNames(e, l.target)
	if err != nil {
		return config.Entry{Source: e.Source, Targets: e.Targets}, err.Error()
	}
	reason := "not begun"
	if why != nil && len(ended) == 0 {
		reason += ": " + why.Error()
	}
	left := config.Entry{}
	for _, n := range to {
		s, known := ended[route{from, n}]
		if !known && n.Tag != "" {
			s = ended[route{to: n}]
		}
		if s.State == dray.Done || s.State == dray.Unchanged {
			continue
		}
		if s.Err != nil && len(left.Targets) == 0 {
			reason = s.Err.Error()
		}
		left.Source = from.String()
		left.Targets = append(left.Targets, n.String())
	}
	return left, reason
}

// replace puts data at path, whole or not at all; without data there is no file afterwards. What is no
// regular file, as a pipe, is written to.
func replace(path string, data []byte) error {
	if at, err := os.Stat(path); err == nil && !at.Mode().IsRegular() {
		return os.WriteFile(path, data, 0)
	}
	if len(data) == 0 {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	f, err := besides(path)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// besides makes a file that a rename can bring to path.
func besides(path string) (*os.File, error) {
	return os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
}

// bare takes the path out of err: the Fault around it says it.
func bare(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
