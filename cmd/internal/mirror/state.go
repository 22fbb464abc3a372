package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ours"
)

// State is a directory with the result of the last run of each rule. The zero State stores nothing.
type State struct{ Dir string }

// StateFor returns the State of the rules in a configuration file. It is below dir, under a name that is
// derived from the file's absolute path. An empty dir gives the zero State.
func StateFor(dir, file string) (State, error) {
	whole, err := filepath.Abs(file)
	if err != nil || dir == "" {
		return State{}, err
	}
	sum := sha256.Sum256([]byte(whole))
	return State{Dir: filepath.Join(dir, "mirrors", hex.EncodeToString(sum[:8]))}, nil
}

// Kept has the stored results of a rule.
type Kept struct {
	Last Result  `json:"last"`           // the last run that was not a dry run
	Good *Result `json:"good,omitempty"` // the last of these runs that was OK; nil if that is Last or there is none
}

// Read returns the stored results of a rule, or false if there are none. A file that cannot be read is
// treated as missing.
func (s State) Read(rule string) (Kept, bool) {
	if s.Dir == "" {
		return Kept{}, false
	}
	data, err := s.load(rule + ".json")
	var k Kept
	if err != nil || json.Unmarshal(data, &k) != nil || k.Last.Rule != rule {
		return Kept{}, false
	}
	return k, true
}

// Write stores a result atomically. It ignores the results of dry runs and of skipped runs.
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
		return s.stateFault(err)
	}
	d, err := ours.Create(s.Dir)
	if err != nil {
		return s.stateFault(err)
	}
	if err := errors.Join(d.Replace(r.Rule+".json", append(data, '\n')), d.Close()); err != nil {
		return s.stateFault(err)
	}
	return nil
}

func (s State) load(name string) ([]byte, error) {
	d, err := ours.Open(s.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }() // it was only read
	f, err := d.Read(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // likewise
	return io.ReadAll(f)
}

// Lock takes the lock of a rule, so that the caller is the only process that runs it. alone is false if
// another process has the lock. If alone is true, the caller must call unlock. Without a directory, other
// processes are not visible, and alone is always true.
func (s State) Lock(ctx context.Context, rule string) (unlock func(), alone bool, err error) {
	if s.Dir == "" || ctx.Err() != nil {
		return func() {}, true, nil
	}
	d, err := ours.Create(s.Dir)
	if err != nil {
		return nil, false, s.stateFault(err)
	}
	l, err := d.Lock(rule + ".lock")
	if err = errors.Join(err, d.Close()); err != nil {
		return nil, false, s.stateFault(err)
	}
	if l == nil {
		return func() {}, false, nil
	}
	return func() { _ = l.Close() }, true, nil // the end of the process unlocks the file too
}

func (s State) stateFault(err error) error {
	if fault.Is(err, fault.Denied) {
		return err
	}
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		err = at.Err
	}
	return &fault.Fault{Kind: fault.Unavailable, Op: "store the state of mirrors in", Name: s.Dir, Err: err,
		Hint: "use --state to name another directory"}
}
