package run

import (
	"errors"
	"os"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/outfile"
	"github.com/drayage/dray/internal/trouble"
)

// CheckWritable checks that a list of failures, or a receipt, can be written to path; "" means that none is
// wanted. It is called before the work begins, which may take hours. list is the file from which the work was
// read, which must not be overwritten; "" means that there is none.
func CheckWritable(path, list string) error {
	if path == "" {
		return nil
	}
	bad := func(cause error, hint string) error {
		return &fault.Fault{Kind: fault.Invalid, Op: "write", Name: path, Hint: hint, Err: cause}
	}
	there, err := os.Stat(path)
	if err == nil {
		if it, err := os.Stat(list); err == nil && os.SameFile(there, it) {
			return bad(errors.New("this file is the list itself"), "name another file")
		}
		if there.IsDir() {
			return bad(errors.New("this is a directory"), "")
		}
	}
	if err := outfile.Check(path); err != nil {
		if _, _, isDisk := trouble.Of(err, path); isDisk {
			return Unwritten("write", path, err)
		}
		return bad(out.Bare(err), "")
	}
	return nil
}

// Unwritten returns the error of a file that a flag names and that could not be written.
func Unwritten(op, path string, err error) error {
	f := &fault.Fault{Kind: fault.Unavailable, Op: op, Name: path, Err: out.Bare(err),
		Hint: "check the permissions of the directory and the free space"}
	if kind, step, isDisk := trouble.Of(err, path); isDisk {
		f.Kind, f.Hint = kind, step
	} else if errors.Is(err, os.ErrPermission) {
		f.Kind = fault.Denied
	}
	return f
}

// failedList is the list of --failed-to. It is written while the verb runs.
type failedList struct {
	path string
	temp *outfile.File // nil if there is no list

	n      int // steps
	failed int // those that failed; the others were not finished or not begun
}

// newFailedList begins a list in a temporary file in the directory of path, so that a rename can move it to
// path. An empty path means that there is no list. again is the command line that carries the list out.
func newFailedList(path, again string) (*failedList, error) {
	l := &failedList{path: path}
	if l.path == "" {
		return l, nil
	}
	var err error
	if l.temp, err = outfile.Create(l.path); err == nil {
		_, err = l.temp.WriteString("# " + out.OneLine(again) + "\n")
	}
	if err != nil {
		return l, Unwritten("write", l.path, err)
	}
	return l, nil
}

// add writes a step that is not done. A step that cannot be an entry of a list is written as a comment, such
// as a repository that could not be listed, or a tag about which the sources disagree.
func (l *failedList) add(s dray.StepReport) error {
	if l.temp == nil {
		return nil
	}
	l.n++
	why := out.StateWord(s.State)
	if s.Err != nil {
		l.failed++
		why = s.Err.Error()
	}
	differ := s.Problem != nil && s.Problem.Kind == fault.Conflict && s.Problem.Side == fault.Source
	if differ || s.To.Tag == "" || s.To.IsLayout() || s.From.IsLayout() { // an entry of a list needs a tag in a registry
		what := out.TargetName(s.Step)
		if s.From.Digest == "" && s.To.Tag == "" {
			what = "all of " + s.To.String()
		}
		_, err := l.temp.WriteString(out.Sprintf("# %s: %s\n", what, out.OneLine(why)))
		return err
	}
	from := s.From
	if from.Tag != "" {
		from.Digest = ""
	}
	one := config.List{
		Form:    config.Text,
		Entries: []config.Entry{{Source: from.String(), Targets: []string{s.To.String()}}},
	}
	return one.Write(l.temp, func(int) string { return why })
}

// keep moves the list to its place, and returns a line that says where it is. If nothing failed, there is no
// file afterwards.
func (l *failedList) keep() (where string, err error) {
	if l.temp == nil {
		return "", nil
	}
	defer l.discard()
	bad := func(err error) error { return Unwritten("write", l.path, err) }
	if l.n == 0 {
		if err := outfile.Remove(l.path); err != nil {
			return "", bad(err)
		}
		return "", nil
	}
	list := l.temp
	l.temp = nil
	if err := list.Keep(0o600); err != nil {
		return "", bad(err)
	}
	what := out.Plural(l.n, "failure")
	if l.failed < l.n {
		what = out.Plural(l.n, "image") + " left to do,"
	}
	return what + " listed in " + l.path, nil
}

// discard removes the temporary file.
func (l *failedList) discard() {
	if l.temp == nil {
		return
	}
	_ = l.temp.Discard() // a temporary file that stays does no harm
	l.temp = nil
}
