package moving

import (
	"errors"
	"io"
	"strings"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/config/text"
	"github.com/drayage/dray/fault"
)

// inFile replaces "line N" in an error of a plan's reader with "PATH:N". It returns any other error unchanged.
func inFile(path string, err error) error {
	if f, ok := errors.AsType[*fault.Fault](err); ok && f.Op == "read plan" && path != "-" {
		if line, found := strings.CutPrefix(f.Name, "line "); found {
			f.Name = path + ":" + line
		}
	}
	return err
}

// openPlan opens the file of a plan; "-" means stdin. The caller calls done when it has read the plan.
func openPlan(a *app.App, path string) (in io.Reader, done func(), err error) {
	if path == "-" {
		return a.IO.In, func() {}, nil
	}
	f, err := text.Open("read plan", path)
	if err != nil {
		return nil, nil, err
	}
	return f, func() { f.Close() }, nil
}
