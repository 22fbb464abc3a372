// Package kept has the file of server.audit-heads, in which the signed heads of the audit log stay outside of the
// database. Each line is one head, as JSON.
package kept

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/trouble"
)

// Append adds h to a file, which it creates if it is missing, and syncs it. It opens the file each time, so that the
// file may be moved away meanwhile. A line that was cut off stays a line of its own. The error is Full, Denied,
// NotFound or Unavailable.
func Append(file string, h wire.Head) error {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(h); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return faultOf(file, err)
	}
	raw := line.Bytes()
	if isCut(f) {
		raw = append([]byte("\n"), raw...)
	}
	_, err = f.Write(raw)
	return faultOf(file, errors.Join(err, f.Sync(), f.Close()))
}

// isCut reports whether the last line of a file has no end.
func isCut(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false
	}
	var last [1]byte
	_, err = f.ReadAt(last[:], info.Size()-1)
	return (err == nil || errors.Is(err, io.EOF)) && last[0] != '\n'
}

// Check returns the error that Append would return for a file, as far as that is known without changing it: whether it
// can be opened, or made. It leaves nothing behind.
func Check(file string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_RDWR, 0)
	if err == nil {
		return faultOf(file, f.Close())
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return faultOf(file, err)
	}
	f, err = os.CreateTemp(filepath.Dir(file), ".check-*")
	if err != nil {
		return faultOf(file, err)
	}
	return faultOf(file, errors.Join(f.Close(), os.Remove(f.Name())))
}

func faultOf(file string, err error) error {
	if err == nil {
		return nil
	}
	f := &fault.Fault{Kind: fault.Unavailable, Op: "append to", Name: file, Err: err,
		Hint: "correct server.audit-heads, or let the user of the server write this file"}
	kind, step, isDisk := trouble.Of(err, file)
	switch {
	case isDisk:
		f.Kind, f.Hint = kind, step
	case errors.Is(err, fs.ErrPermission):
		f.Kind = fault.Denied
	case errors.Is(err, fs.ErrNotExist):
		f.Kind, f.Hint = fault.NotFound, "make the directory "+filepath.Dir(file)+", or correct server.audit-heads"
	}
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		f.Err = at.Err // the fault names the file
	}
	return f
}
