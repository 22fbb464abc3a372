package program

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/fault"
)

// Drayd runs a command in the program drayd and returns its exit code. On Unix, this process becomes
// drayd, and Drayd returns only if that fails. The error says that drayd was not found or could not be
// started.
func Drayd(ctx context.Context, args []string) (int, error) {
	path, err := Find()
	if err != nil {
		return 0, err
	}
	if ctx.Err() != nil {
		return 0, &fault.Fault{Kind: fault.Canceled, Op: "run drayd", Err: context.Cause(ctx)}
	}
	code, err := execute(path, args, calling(os.Environ(), app.Version()))
	if err != nil {
		return 0, &fault.Fault{Kind: fault.Unavailable, Op: "run", Name: path, Err: bare(err)}
	}
	return code, nil
}

// Find returns the path of the program drayd.
func Find() (string, error) {
	self, _ := os.Executable() // if it is "", find searches only PATH
	path, err := find(self)
	if err != nil {
		return "", &fault.Fault{
			Kind: fault.Unavailable,
			Op:   "run drayd",
			Err:  err,
			Hint: "install it with go install github.com/drayage/dray/cmd/...@latest",
		}
	}
	return path, nil
}

// find searches for drayd in the directory of self, then in the directory of the file that self is a
// link to, and then on PATH.
func find(self string) (string, error) {
	name := "drayd"
	dirs := []string{filepath.Dir(self)}
	if target, err := filepath.EvalSymlinks(self); err == nil {
		dirs = append(dirs, filepath.Dir(target))
	}
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) {
			continue
		}
		// For a path with a separator, LookPath does not search PATH.
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return "", errors.New("drayd is neither in the directory of dray nor on PATH")
}

// calling returns env with the version of the calling dray.
func calling(env []string, version string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, app.CalledBy+"=") })
	return append(env, app.CalledBy+"="+version)
}

// bare returns err without its path, because the Fault around it contains the path.
func bare(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}
