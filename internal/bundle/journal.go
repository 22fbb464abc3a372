package bundle

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/trouble"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// journalFile is the name of the journal in the directory of a stage.
const journalFile = ".dray-staged.jsonl"

// put is one line of a journal: a document that a repository of the stage received. Everything below it was
// there before.
type put struct {
	Repo      string     `json:"repo"`
	Tags      []string   `json:"tags,omitempty"`
	Digest    oci.Digest `json:"digest"`
	Size      int64      `json:"size"`
	MediaType string     `json:"mediaType"`
	Subject   oci.Digest `json:"subject,omitempty"`
}

func (p put) descriptor() oci.Descriptor {
	return oci.Descriptor{MediaType: p.MediaType, Digest: p.Digest, Size: p.Size}
}

// journal remembers what was put into a stage, so that a later run continues there.
type journal struct {
	mu   sync.Mutex
	file *os.File
}

// openJournal opens the journal in dir, and returns what it has. A last line that is cut off is removed.
func openJournal(dir string) (*journal, []put, error) {
	path := filepath.Join(dir, journalFile)
	all, whole, err := readJournal(path)
	if err != nil {
		return nil, nil, stageFault("read journal", path, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644) //nolint:gosec // as the blobs beside it
	if err != nil {
		return nil, nil, stageFault("open journal", path, err)
	}
	err = f.Truncate(whole)
	if err == nil {
		_, err = f.Seek(whole, 0)
	}
	if err != nil {
		f.Close()
		return nil, nil, stageFault("open journal", path, err)
	}
	return &journal{file: f}, all, nil
}

// readJournal returns the lines of a journal, and how many of its bytes are whole lines.
func readJournal(path string) (all []put, whole int64, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil { // a line without an end was being written when the process was killed
			return all, whole, nil
		}
		var p put
		if json.Unmarshal(line, &p) != nil || ref.Digest(string(p.Digest)) != nil {
			return all, whole, nil // what follows is put again
		}
		all, whole = append(all, p), whole+int64(len(line))
	}
}

// add writes a line. It is not synced: a line that a crash of the machine loses is put again.
func (j *journal) add(p put) error {
	line, err := json.Marshal(p)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return stageFault("write journal", j.file.Name(), err)
	}
	return nil
}

func (j *journal) close() error { return j.file.Close() }

func stageFault(op, path string, err error) error {
	if _, known := errors.AsType[*fault.Fault](err); known {
		return err
	}
	kind, hint, isDisk := trouble.Of(err, path)
	switch {
	case isDisk:
		hint += ", then run the same command again"
	case errors.Is(err, fs.ErrPermission):
		kind, hint = fault.Denied, "check the permissions of "+path
	default:
		kind, hint = fault.Unavailable, "check the disk and its permissions"
	}
	return &fault.Fault{Kind: kind, Side: fault.Target, Op: op, Name: path, Err: err, Hint: hint}
}
