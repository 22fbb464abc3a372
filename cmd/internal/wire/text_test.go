package wire_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

func TestTheTextOfAnErrorNamesNoFileAndNoDatabaseOfTheServer(t *testing.T) {
	file := &fs.PathError{Op: "write", Path: "/srv/dray/uploads/x", Err: syscall.ENOSPC}
	link := &os.LinkError{Op: "rename", Old: "/srv/dray/a", New: "/srv/dray/b", Err: syscall.EIO}
	full := &fault.Fault{Kind: fault.Full, Op: "commit", Name: "sqlite:/srv/dray/dray.db", Err: errors.New("disk is full")}
	away := &fault.Fault{Kind: fault.Unavailable, Op: "ask", Name: "postgres://dray@db.inner/dray", Err: errors.New("away")}
	for err, want := range map[error]string{
		fmt.Errorf("step: %w", file):                         "step: write: no space left on device",
		&fault.Fault{Kind: fault.Full, Op: "put", Err: file}: "put: full: write: no space left on device",
		errors.Join(file, fmt.Errorf("and %w", link)):        "write: no space left on device\nand rename: input/output error",
		full:                        "commit the database: full: disk is full",
		fmt.Errorf("job: %w", away): "job: ask the database: unavailable: away",
		&fault.Fault{Kind: fault.NotFound, Name: "reg/app:v"}: "reg/app:v: not found",
	} {
		if got := wire.Text(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
