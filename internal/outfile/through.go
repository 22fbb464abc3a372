package outfile

import (
	"errors"
	"io/fs"
	"os"
)

// isThrough reports whether something is at path that is no regular file itself.
func isThrough(path string) bool {
	at, err := os.Lstat(path)
	return err == nil && !at.Mode().IsRegular()
}

// checkThrough is Check for what is written through. It opens no pipe or device, because that could wait for a reader.
func checkThrough(path string) error {
	at, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist): // a link to nothing yet
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		return f.Close()
	case err != nil:
		return err
	case at.IsDir():
		return &fs.PathError{Op: "write", Path: path, Err: errors.New("this is a directory")}
	case !at.Mode().IsRegular() || printed(path) != nil:
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// writeThrough writes data to what is at path. What this process prints to is not truncated.
func writeThrough(path string, data []byte) error {
	if out := printed(path); out != nil {
		_, err := out.Write(data)
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// printed returns the standard output or the standard error of this process, if path is the same file.
func printed(path string) *os.File {
	at, err := os.Stat(path)
	if err != nil {
		return nil
	}
	for _, out := range []*os.File{os.Stdout, os.Stderr} {
		if it, err := out.Stat(); err == nil && os.SameFile(at, it) {
			return out
		}
	}
	return nil
}
