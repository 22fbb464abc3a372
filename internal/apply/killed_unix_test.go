//go:build unix

package apply_test

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/drayage/dray/internal/testbed"
)

func (e errand) limit() error {
	if e.FileLimit == 0 {
		return nil
	}
	signal.Ignore(syscall.SIGXFSZ)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: e.FileLimit, Max: e.FileLimit})
}

// The records of an upload grow larger than the disk allows. The copy continues without them, and
// reports this once.
func TestAFullDiskUnderTheStateFailsNoCopy(t *testing.T) {
	src, dst := testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Layers: 2, Size: 17 << 20})
	for _, limit := range []uint64{1, 100, 400} {
		repo := fmt.Sprintf("app%d", limit)
		c := send(t, errand{State: filepath.Join(t.TempDir(), "state"), Source: src.Host + "/app:v1", Target: dst.Host + "/" + repo + ":v1", FileLimit: limit})
		c.wait(t)
		if said := c.out.String(); strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, "uploads are not recorded, so an interrupted upload starts again from the beginning: ") {
			t.Errorf("limit of %d bytes: %s", limit, said)
		}
		testbed.Same(t, src, dst, "app", "v1", repo, "v1")
	}
}

// An interrupt leaves the upload session and its record, as a kill does.
func TestAnInterruptedCopyGoesOnWhereItWas(t *testing.T) {
	src, dst := testbed.Distribution(t, testbed.Options{Front: slowly}), testbed.Distribution(t, testbed.Options{Dir: t.TempDir()})
	img := testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Layers: 1, Size: 20 << 20})
	e := errand{State: filepath.Join(t.TempDir(), "state"), Source: src.Host + "/app:v1", Target: dst.Host + "/app:v1"}
	received := func() int64 { in, _ := dst.Sent("", testbed.Upload); return in }
	c := send(t, e)
	for received() < 9<<20 {
		time.Sleep(time.Millisecond)
	}
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := <-c.done; err == nil {
		t.Fatal("the copy ended before the interrupt")
	}
	send(t, e).wait(t)
	if received() != img.Bytes || dst.Count("DELETE", testbed.Upload) != 0 {
		t.Errorf("%d bytes arrived of %d\n%s", received(), img.Bytes, dst.Story())
	}
	testbed.Same(t, src, dst, "app", "v1", "app", "v1")
}
