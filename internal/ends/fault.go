package ends

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/internal/trouble"
	"github.com/drayage/dray/ref"
)

// refused returns the error about the content of an end.
func refused(op, name, why, hint string) error {
	return &fault.Fault{Kind: fault.Refused, Op: op, Name: name, Err: errors.New(why), Hint: hint}
}

// failed converts an error of the file system. A Fault stays as it is.
func failed(op, name string, err error) error {
	if err == nil {
		return nil
	}
	if _, known := errors.AsType[*fault.Fault](err); known {
		return err
	}
	f := &fault.Fault{Kind: fault.Unavailable, Op: op, Name: name, Err: err}
	kind, step, isDisk := trouble.Of(err, name)
	switch {
	case isDisk && kind == fault.Full:
		f.Kind, f.Hint = kind, step+"; what arrived is kept until then"
	case isDisk:
		f.Kind, f.Hint = kind, step
	case errors.Is(err, fs.ErrNotExist):
		f.Kind = fault.NotFound
		if at, ok := errors.AsType[*fs.PathError](err); ok {
			f.Err, f.Hint = at.Err, "check the path "+at.Path
		}
	case errors.Is(err, fs.ErrPermission):
		f.Kind, f.Hint = fault.Denied, "check the permissions of the directory"
	case errors.Is(err, syscall.EPIPE):
		f.Hint = "check the program that reads the standard output"
	case errors.Is(err, syscall.ENOTDIR):
		f.Kind, f.Hint = fault.Invalid, "check the path, a part of which is a file"
	case errors.Is(err, fs.ErrExist):
		f.Kind = fault.Refused
	}
	return f
}

// noTemp returns the error of a directory below TMPDIR that cannot be made.
func noTemp(end ref.Repo, err error) error {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		err = at.Err
	}
	op := "make directory in " + os.TempDir()
	return &fault.Fault{Kind: fault.KindOf(failed(op, "", err)), Op: op, Name: end.String(), Err: err,
		Hint: "set TMPDIR to a directory that can be written"}
}

// manyPlatforms returns the error of an index for docker load.
func manyPlatforms(name string, platforms []string) error {
	slices.Sort(platforms)
	platforms = slices.Compact(platforms)
	some := strings.Join(platforms[:min(len(platforms), 10)], " ")
	if n := len(platforms) - 10; n > 0 {
		some += fmt.Sprintf(" and %d more", n)
	}
	return refused("put image", name, "an archive for docker load has one platform, and the image has several: "+some,
		"choose one with --platform, or write oci-archive:FILE")
}

// Occupied returns the error of an end that is to be written. If err says that it holds something else, the error is
// Invalid, as it is for a layout. Other errors stay as they are.
func Occupied(end ref.Repo, err error) error {
	if !fault.Is(err, fault.Refused) || end.Dir == ref.Stream {
		return err
	}
	if err := irregular(end); err != nil {
		return err
	}
	what := map[string]string{
		ref.Archive:       "archive of an OCI image layout",
		ref.DockerArchive: "archive of docker",
		ref.Directory:     "directory of an image",
	}[end.Host]
	if known, ok := errors.AsType[*fault.Fault](err); ok && known.Err != nil {
		err = known.Err // the name is said once
	}
	hint := "name another one, or remove it"
	if _, is := errors.AsType[bundled](err); is {
		hint = again("file")
	}
	return &fault.Fault{Kind: fault.Invalid, Op: "open", Name: end.String(),
		Err: fmt.Errorf("it exists and is not a readable %s: %w", what, err), Hint: hint}
}

// bundled is the error of an end that holds something else, which is a bundle: it is not removed to make room.
type bundled struct{ error }

// irregular returns the error of an end that is to be written and is a device or a pipe.
func irregular(end ref.Repo) error {
	info, err := os.Stat(end.Dir)
	if err != nil || info.Mode().IsRegular() || info.IsDir() {
		return nil //nolint:nilerr // there is nothing yet, or whoever opens it says what is wrong
	}
	f := &fault.Fault{Kind: fault.Invalid, Op: "open", Name: end.String(),
		Err: errors.New("it is not a regular file"), Hint: "write - for the standard output, or name a file"}
	if end.Host == ref.Directory {
		f.Hint = "name a directory"
	}
	return f
}

// unwritten returns the error of an archive whose name promises a compression that dray does not write.
func unwritten(end ref.Repo, how string) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "open archive", Name: end.String(),
		Err:  errors.New("dray does not write archives that are compressed by " + how),
		Hint: "name it .tar.zst, .tar.gz or .tar"}
}

// noDirectory returns the error of an end whose directory does not exist.
func noDirectory(end ref.Repo, dir string, err error) error {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		err = at.Err
	}
	return &fault.Fault{Kind: fault.NotFound, Op: "open", Name: end.String(), Err: err,
		Hint: "make the directory " + dir}
}

// Twice returns the error of two ends that are to be written to one file or directory.
func Twice(one, other ref.Repo) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "open", Name: one.In("").String(),
		Err:  fmt.Errorf("it is the same file or directory as %s", other.In("")),
		Hint: "name the same end in the same way, or another one"}
}

// OneImage returns the error of a directory of skopeo that is to hold n images.
func OneImage(end ref.Repo, n int) error {
	return refused("write directory", end.String(), fmt.Sprintf("it holds one image, and there are %d", n),
		"write oci:DIR, which holds any number")
}

const (
	bundleDir  = "dray/"   // where a bundle has its lists
	bundleList = "volume-" // begins the name of a list
)

const isBundle = "it is a bundle, whose list says what is in it"

// again returns what to do instead of writing to a bundle, which is a file or a directory.
func again(kind string) string {
	return "name another " + kind + "; to make a bundle again, see " + shell.Dray("bundle", "create", "--help")
}
