package run

import (
	"errors"
	"fmt"
	"os"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/fault"
)

// CheckFailedTo finds out before the work, which may take hours, that what is left of it can be kept at
// path; "" keeps nothing. list is the file that names the work; "" where none does.
func CheckFailedTo(path, list string) error {
	if path == "" {
		return nil
	}
	bad := func(cause error, hint string) error {
		return &fault.Fault{Kind: fault.Invalid, Op: "write", Name: path, Hint: hint, Err: cause}
	}
	there, err := os.Stat(path)
	if err == nil {
		if it, err := os.Stat(list); err == nil && os.SameFile(there, it) {
			return bad(errors.New("it is the list itself"), "name another file")
		}
		if there.IsDir() {
			return bad(errors.New("it is a directory"), "")
		}
	}
	if err == nil && !there.Mode().IsRegular() {
		return nil
	}
	probe, err := besides(path)
	if err != nil {
		return bad(out.Bare(err), "")
	}
	probe.Close()
	return os.Remove(probe.Name())
}

// failedList is what --failed-to keeps, written while the run goes on.
type failedList struct {
	path string
	temp *os.File // nil where nothing is kept
	n    int
}

// newFailedList begins a list beside its place, where a rename can bring it; "" keeps nothing.
func newFailedList(path string) (*failedList, error) {
	l := &failedList{path: path}
	if l.path == "" {
		return l, nil
	}
	var err error
	if at, serr := os.Stat(l.path); serr == nil && !at.Mode().IsRegular() {
		l.temp, err = os.CreateTemp("", "dray-failed-*")
	} else {
		l.temp, err = besides(l.path)
	}
	if err == nil {
		_, err = fmt.Fprintf(l.temp, "# dray batch --force -f %s\n", out.OneLine(l.path))
	}
	if err != nil {
		return l, &fault.Fault{Kind: fault.Invalid, Op: "write", Name: l.path, Err: out.Bare(err)}
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
		what := out.TargetName(s.Step)
		if s.From.Digest == "" && s.To.Tag == "" {
			what = "the whole of " + s.To.String()
		}
		_, err := fmt.Fprintf(l.temp, "# %s: %s\n", what, out.OneLine(why))
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
		return &fault.Fault{Kind: fault.Unavailable, Op: "write", Name: l.path, Hint: "check the directory's rights and room", Err: out.Bare(err)}
	}
	if l.n == 0 {
		if err := Replace(l.path, nil); err != nil {
			return "", bad(err)
		}
		return "", nil
	}
	if err := l.settle(); err != nil {
		return "", bad(err)
	}
	return out.Plural(l.n, "failure") + " listed in " + l.path, nil
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
