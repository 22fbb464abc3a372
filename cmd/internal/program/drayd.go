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

// Drayd carries out a command in drayd and returns its exit code; where it can, this process becomes
// drayd, and it does not return. Its error says that there is no drayd, or none that starts.
func Drayd(ctx context.Context, args []string) (int, error) {
	self, _ := os.Executable() // "" has nothing beside it
	path, err := find("drayd", self)
	if err != nil {
		return 0, &fault.Fault{Kind: fault.Unavailable, Op: "run drayd", Err: err, Hint: "go install github.com/drayage/dray/cmd/...@latest"}
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

// find looks for a program beside self, also beside what self is a link to, and then on PATH.
func find(name, self string) (string, error) {
	dirs := []string{filepath.Dir(self)}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		dirs = append(dirs, filepath.Dir(real))
	}
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) {
			continue
		}
		// A name with a separator is looked for nowhere else.
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return "", errors.New("it is neither beside dray nor on PATH")
}

// calling is env with the version of who calls.
func calling(env []string, version string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, app.CalledBy+"=") })
	return append(env, app.CalledBy+"="+version)
}

// bare takes the path out of err: the Fault around it says it.
func bare(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
