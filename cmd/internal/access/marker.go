package access

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/outfile"
)

// Lost reports whether a token existed and the database has none any more: somebody has emptied or replaced it. Nobody
// can log in with a token then, and this machine is not trusted without one.
func (a *Access) Lost() bool { return a.lost.Load() }

// marked reports whether the marker exists. An error is no reason to let anybody in.
func (a *Access) marked() (bool, error) {
	if a.marker == "" {
		return false, nil
	}
	_, err := os.Lstat(a.marker)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, a.markerFault("read", err)
}

// mark creates the marker.
func (a *Access) mark() error {
	if had, err := a.marked(); a.marker == "" || had || err != nil {
		return err
	}
	const text = "This server has or had tokens: requests from its own machine need a login. See docs/server.md.\n"
	return a.markerFault("write", outfile.Replace(a.marker, []byte(text), 0o600))
}

func (a *Access) markerFault(op string, err error) error {
	if err == nil {
		return nil
	}
	if inner := errors.Unwrap(err); inner != nil {
		err = inner // without the path, which Name has for who may read it
	}
	return &fault.Fault{Kind: fault.Unavailable, Op: op, Name: filepath.Base(a.marker), Err: err,
		Hint: "let the user of the server write the data directory"}
}
