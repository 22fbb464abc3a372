package wire

import (
	"io/fs"
	"os"
	"strings"

	"github.com/drayage/dray/fault"
)

// Text returns the text of err for the users of a server. It names no file and no database of the server: only who runs
// it needs them, and finds them in its log.
func Text(err error) string {
	text := err.Error()
	inside(err, func(e error) {
		switch e := e.(type) { //nolint:errorlint // inside visits each error of the tree
		case *fs.PathError:
			text = strings.ReplaceAll(text, e.Error(), e.Op+": "+e.Err.Error())
		case *os.LinkError:
			text = strings.ReplaceAll(text, e.Error(), e.Op+": "+e.Err.Error())
		case *fault.Fault:
			if strings.HasPrefix(e.Name, "sqlite:") || strings.HasPrefix(e.Name, "postgres") && strings.Contains(e.Name, "://") {
				text = strings.ReplaceAll(text, e.Name, "the database")
			}
		}
	})
	return text
}

// inside calls visit with err and all errors that it wraps.
func inside(err error, visit func(error)) {
	if err == nil {
		return
	}
	visit(err)
	switch e := err.(type) { //nolint:errorlint // the tree is walked here
	case interface{ Unwrap() error }:
		inside(e.Unwrap(), visit)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			inside(one, visit)
		}
	}
}
