// Package text reads text files that a user named, with errors that say what to do: configurations, lists, secrets.
package text

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"unicode/utf8"

	"github.com/drayage/dray/fault"
)

// Open opens a file that the user named, for op, such as "read list". The error is Invalid and names the file.
// It says at once that path is a directory.
func Open(op, path string) (*os.File, error) {
	f, err := os.Open(path)
	if err == nil {
		info, unknown := f.Stat()
		if unknown != nil || !info.IsDir() {
			return f, nil
		}
		f.Close()
		err = syscall.EISDIR
	}
	hint := "allow the user that runs dray to read the file"
	if errors.Is(err, syscall.EISDIR) {
		hint = "name a file in it"
	} else if errors.Is(err, fs.ErrNotExist) {
		hint = "correct the path, or create the file"
	}
	return nil, &fault.Fault{Kind: fault.Invalid, Op: op, Name: path, Err: Bare(err), Hint: hint}
}

// ReadFile reads a file of at most limit bytes of UTF-8, without its byte order mark.
func ReadFile(op, path string, limit int64) ([]byte, error) {
	f, err := Open(op, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadAll(op, f, path, limit)
}

// ReadAll reads at most limit bytes of UTF-8 and removes a byte order mark. name is the name of r in errors, and
// op is what it is read for. The error is Invalid.
func ReadAll(op string, r io.Reader, name string, limit int64) ([]byte, error) {
	bad := func(err error, hint string) ([]byte, error) {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: op, Name: name, Hint: hint, Err: err}
	}
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return bad(Bare(err), "")
	case int64(len(data)) > limit:
		return bad(fmt.Errorf("the file is longer than %d MiB", limit>>20), "name another file, or divide it")
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return bad(errors.New("the file is UTF-16"), "save the file as UTF-8")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if i := firstInvalid(data); i >= 0 {
		at := name + ":" + strconv.Itoa(1+bytes.Count(data[:i], []byte("\n")))
		return nil, &fault.Fault{
			Kind: fault.Invalid, Name: at, Err: errors.New("not UTF-8 text"), Hint: "save the file as UTF-8 text",
		}
	}
	return data, nil
}

// firstInvalid returns the index of the first byte that is not valid UTF-8 or is zero, or -1.
func firstInvalid(data []byte) int {
	if utf8.Valid(data) {
		return bytes.IndexByte(data, 0)
	}
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// Bare returns err without its path, because the Fault around it contains the path.
func Bare(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
