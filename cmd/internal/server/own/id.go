package own

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/drayage/dray/cmd/internal/pool"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/outfile"
	"github.com/drayage/dray/internal/shell"
)

// File is the file in a data directory with the id of its content.
const File = "storage-id"

const length = 16 // characters of an id

// ID returns the id of the content in the data directory dir. It gives the directory one if it has none.
func ID(dir string) (string, error) {
	id, err := Read(dir)
	if id != "" || err != nil {
		return id, err
	}
	id = strings.ToLower(rand.Text()[:length])
	file := filepath.Join(dir, File)
	if err := outfile.Replace(file, []byte(id+"\n"), 0o600); err != nil {
		return "", idFault("write storage id", file, "let this user write the data directory", err)
	}
	return id, nil
}

// Read returns the id of the content in dir; "" if it has none yet. Errors are Denied if the file may not be read, and
// Invalid if it holds no id.
func Read(dir string) (string, error) {
	const op = "read storage id"
	restore := "write the id back into this file, " + shell.Dray("workers") + " shows it as own-ID; " +
		"or remove what is there: the server makes a new id then, and jobs that wait for the old one do not start"
	file := filepath.Join(dir, File)
	raw, err := os.ReadFile(file)
	id := strings.TrimSpace(string(raw))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case errors.Is(err, fs.ErrPermission):
		return "", idFault(op, file, "let this user read the file", err)
	case err != nil:
		return "", idFault(op, file, restore, err)
	case id == "":
		return "", idFault(op, file, restore, errors.New("the file is empty"))
	case pool.Name(id) != nil:
		return "", idFault(op, file, restore, errors.New("the file does not hold an id"))
	}
	return id, nil
}

// idFault returns err as a Fault about file.
func idFault(op, file, hint string, err error) error {
	kind := fault.Invalid
	if errors.Is(err, fs.ErrPermission) {
		kind = fault.Denied
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err // the name is that of the Fault, or of a temporary file
	}
	return &fault.Fault{Kind: kind, Op: op, Name: file, Hint: hint, Err: err}
}
