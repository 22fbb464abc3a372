//go:build linux

package limits

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/disk"
)

// fullDisk returns a directory on a disk without a free byte.
func fullDisk(t *testing.T) string {
	t.Helper()
	dir := disk.Mount(t, 1<<20)
	disk.Fill(t, dir, 0)
	return dir
}

// readOnly returns a directory on a disk that cannot be written.
func readOnly(t *testing.T) string {
	t.Helper()
	dir := disk.Mount(t, 1<<20)
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	return dir
}

// oneLine ends the test if dray did not say one line that contains want.
func (p *process) oneLine(what, want string) {
	p.t.Helper()
	said := strings.TrimSpace(p.err.String())
	if strings.Contains(said, "\n") || !strings.Contains(said, want) {
		p.t.Errorf("%s: want one line with %q: %s", what, want, said)
	}
	figure(p.t, what+": "+said)
}

func TestLimitPlacesOfTheCommandLine(t *testing.T) {
	source, target := testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, source, "app", "v1", testbed.RandomOptions{Layers: 3, Size: 2 << 20, Seed: 1})
	from := source.Host + "/app:v1"
	n := 0
	to := func() string { n++; return fmt.Sprintf("%s/app%d:v1", target.Host, n) }
	missing := filepath.Join(t.TempDir(), "missing")
	deep := t.TempDir()
	for range 200 {
		deep = filepath.Join(deep, "d")
	}
	odd := filepath.Join(t.TempDir(), "with spaces and ünïcödé 漢字", strings.Repeat("n", 200))
	for _, dir := range []string{deep, odd} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, env := range map[string][]string{
		"the directory for state is on a full disk":      {"DRAY_STATE_DIR=" + filepath.Join(fullDisk(t), "state")},
		"the directory for state is on a read-only disk": {"DRAY_STATE_DIR=" + filepath.Join(readOnly(t), "state")},
		"no home directory":                              {"HOME=", "DRAY_STATE_DIR="},
		"a home directory that is missing":               {"HOME=" + missing, "DRAY_STATE_DIR="},
		"a home directory on a read-only disk":           {"HOME=" + readOnly(t), "DRAY_STATE_DIR="},
		"TMPDIR is missing":                              {"TMPDIR=" + missing},
		"TMPDIR is full":                                 {"TMPDIR=" + fullDisk(t)},
		"TMPDIR is 200 directories deep":                 {"TMPDIR=" + deep},
		"odd names":                                      {"HOME=" + odd, "TMPDIR=" + odd, "DRAY_STATE_DIR=" + filepath.Join(odd, "state")},
	} {
		p := dray(t, box{env: env}, 0, "copy", from, to())
		figure(t, name+": copied, "+strconv.Itoa(strings.Count(p.err.String(), "\n"))+" lines: "+strings.TrimSpace(p.err.String()))
	}
	for name, dir := range map[string]string{"full": fullDisk(t), "read-only": readOnly(t)} {
		for what, args := range map[string][]string{
			"layout":  {"copy", from, "oci:" + filepath.Join(dir, "layout") + ":v1"},
			"archive": {"copy", from, "oci-archive:" + filepath.Join(dir, "a.tar") + ":v1"},
			"bundle":  {"bundle", "create", "--transfer", source.Host + "/app", "--output", filepath.Join(dir, "b.tar")},
		} {
			p := start(t, box{}, "dray", args...)
			code := p.wait()
			left, err := filepath.Glob(filepath.Join(dir, "[abp]*"))
			if code == 0 || err != nil || slices.Contains(left, filepath.Join(dir, "a.tar")) || slices.Contains(left, filepath.Join(dir, "b.tar")) {
				t.Errorf("%s on a %s disk: %d, left %q", what, name, code, left)
			}
			figure(t, fmt.Sprintf("%s on a %s disk: code %d, %s", what, name, code, strings.TrimSpace(p.err.String())))
		}
	}
	p := start(t, box{}, "drayd", "serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(readOnly(t), "data"))
	if code := p.wait(); code == 0 {
		t.Error("a server serves a read-only directory")
	}
	p.oneLine("a server whose data is on a read-only disk", "read-only file system")
	p = start(t, box{env: []string{"HOME="}}, "drayd", "serve", "--listen", "127.0.0.1:0")
	if code := p.wait(); code != 2 {
		t.Errorf("a server without a home directory: %d", code)
	}
	p.oneLine("a server without a home directory", "--data")
}

func TestLimitArgumentsAndLists(t *testing.T) {
	source, target := testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, source, "app", "v1", testbed.RandomOptions{})
	p := start(t, box{}, "dray", "copy", source.Host+"/app:v1", target.Host+"/"+strings.Repeat("a", 126<<10)+":v1")
	if code := p.wait(); code != 2 || len(p.err.String()) > 1000 {
		t.Errorf("an argument of 126 KiB: %d, %d bytes on stderr: %.300s", code, len(p.err.String()), p.err.String())
	}
	figure(t, fmt.Sprintf("an argument of 126 KiB: code 2, %d bytes on stderr", len(p.err.String())))
	lines := size(100_000, 2_000)
	list := filepath.Join(t.TempDir(), "list")
	f, err := os.Create(list)
	if err != nil {
		t.Fatal(err)
	}
	for i := range lines {
		fmt.Fprintf(f, "%s/app:v1 app:t%d\n", source.Host, i)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	p = dray(t, box{}, 0, "batch", "-f", list, "--name", target.Host, "--dry-run", "-o", "none", "-q")
	p.figures(fmt.Sprintf("a list of %d images, --dry-run", lines))
}
