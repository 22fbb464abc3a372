package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/drayage/dray/fault"
)

// State is a directory with what is known of the last run of each rule. The zero State keeps nothing.
type State struct{ Dir string }

// StateFor is where the state of the rules in a file is: below dir, by the file's whole path.
func StateFor(dir, file string) (State, error) {
	whole, err := filepath.Abs(file)
	if err != nil || dir == "" {
		return State{}, err
	}
	sum := sha256.Sum256([]byte(whole))
	return State{Dir: filepath.Join(dir, "mirrors", hex.EncodeToString(sum[:8]))}, nil
}

// Kept is what is known of a rule.
type Kept struct {
	Last Result  `json:"last"`           // the last run that wrote
	Good *Result `json:"good,omitempty"` // the last of them that was OK, where that is another
}

// Read returns what is known of a rule; false is nothing. What can not be read is as if it were not there.
func (s State) Read(rule string) (Kept, bool) {
	if s.Dir == "" {
		return Kept{}, false
	}
	data, err := os.ReadFile(filepath.Join(s.Dir, rule+".json"))
	var k Kept
	if err != nil || json.Unmarshal(data, &k) != nil || k.Last.Rule != rule {
		return Kept{}, false
	}
	return k, true
}

// Write keeps a result, whole or not at all.
func (s State) Write(r Result) error {
	if s.Dir == "" || r.DryRun || r.Outcome == Skipped {
		return nil
	}
	k := Kept{Last: r}
	if before, ok := s.Read(r.Rule); ok && r.Outcome != OK {
		if k.Good = before.Good; before.Last.Outcome == OK {
			k.Good = &before.Last
		}
	}
	data, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return s.bad(err)
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return s.bad(err)
	}
	temp, err := os.CreateTemp(s.Dir, ".new-*")
	if err != nil {
		return s.bad(err)
	}
	_, err = temp.Write(append(data, '\n'))
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), filepath.Join(s.Dir, r.Rule+".json"))
	}
	if err != nil {
		os.Remove(temp.Name())
		return s.bad(err)
	}
	return nil
}

// Lock makes the caller the only one who runs a rule; false is that another process does.
// Without a directory nobody knows of others.
func (s State) Lock(ctx context.Context, rule string) (unlock func(), alone bool, err error) {
	if s.Dir == "" || ctx.Err() != nil {
		return func() {}, true, nil
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, false, s.bad(err)
	}
	l := flock.New(filepath.Join(s.Dir, rule+".lock"))
	if alone, err = l.TryLock(); err != nil {
		return nil, false, s.bad(err)
	}
	return func() { l.Close() }, alone, nil
}

func (s State) bad(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return &fault.Fault{Kind: fault.Unavailable, Op: "keep the state of mirrors in", Name: s.Dir, Err: err, Hint: "name another directory with --state"}
}
