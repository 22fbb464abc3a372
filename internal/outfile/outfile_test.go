//go:build unix

package outfile_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/drayage/dray/internal/outfile"
)

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// all does everything with a file that this package does, and ends with data in it.
func all(t *testing.T, path string, data string) {
	t.Helper()
	for _, do := range []func() error{
		func() error { return outfile.Check(path) },
		func() error { return outfile.Replace(path, []byte("older, and longer"), 0o600) },
		func() error { return outfile.Remove(path) },
		func() error { return outfile.Remove(path) },
		func() error { return outfile.Replace(path, []byte(data), 0o640) },
		func() error {
			f, err := outfile.Create(path)
			if err == nil {
				err = f.Discard()
			}
			return err
		},
		func() error { return outfile.Check(path) },
	} {
		if err := do(); err != nil {
			t.Error(err)
		}
	}
}

// only checks that nothing but these files is in dir.
func only(t *testing.T, dir string, n int) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != n {
		t.Error(left, err)
	}
}

func TestARegularFileIsReplacedAsAWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "list")
	all(t, path, "new")
	was, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer was.Close()
	all(t, path, "newer")
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o640 || read(t, path) != "newer" {
		t.Error(info, err, read(t, path))
	}
	old := make([]byte, 3)
	if _, err := was.ReadAt(old, 0); err != nil || string(old) != "new" {
		t.Error("the old file was written to:", string(old), err)
	}
	only(t, dir, 1)
}

func TestWhatAKilledProcessLeftGoesAfterADay(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "list")
	f, err := outfile.Create(path) // and is killed
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	all(t, path, "new")
	only(t, dir, 2)
	then := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(f.Name(), then, then); err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(dir, ".list.20261130") // is none of ours
	if err := os.WriteFile(mine, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(mine, then, then); err != nil {
		t.Fatal(err)
	}
	all(t, path, "newer")
	only(t, dir, 2)
}

func TestALinkIsWrittenThroughAndStays(t *testing.T) {
	dir := t.TempDir()
	path, behind := filepath.Join(dir, "link"), filepath.Join(dir, "behind")
	if err := os.Symlink("behind", path); err != nil {
		t.Fatal(err)
	}
	for range 2 { // at first it leads to nothing
		all(t, path, "new")
		if at, err := os.Readlink(path); at != "behind" || err != nil || read(t, behind) != "new" {
			t.Error(at, err, read(t, behind))
		}
	}
	if err := outfile.Remove(path); err != nil || read(t, behind) != "" {
		t.Error(err, read(t, behind))
	}
	only(t, dir, 2)
}

func TestDevicesStay(t *testing.T) {
	all(t, os.DevNull, "x")
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Fatal("the null device was replaced by a file", err)
	}
}

func TestAPipeGetsWhatIsWritten(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := outfile.Check(path); err != nil { // it does not wait for a reader
		t.Fatal(err)
	}
	got := make(chan string)
	go func() {
		raw, err := os.ReadFile(path)
		got <- string(raw)
		if err != nil {
			t.Error(err)
		}
	}()
	if err := outfile.Replace(path, []byte("new"), 0o600); err != nil {
		t.Error(err)
	}
	if text := <-got; text != "new" {
		t.Error(text)
	}
	only(t, dir, 1)
}

func TestWhatIsPrintedStaysIfTheFileIsTheStandardOutput(t *testing.T) {
	dir := t.TempDir()
	file, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	link := filepath.Join(dir, "stdout")
	if err := os.Symlink("out", link); err != nil {
		t.Fatal(err)
	}
	was := os.Stdout
	os.Stdout = file
	defer func() { os.Stdout = was }()
	for _, text := range []string{"first\n", "last\n"} {
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
		for _, do := range []func() error{
			func() error { return outfile.Check(link) },
			func() error { return outfile.Remove(link) },
			func() error { return outfile.Replace(link, []byte("list\n"), 0o600) },
		} {
			if err := do(); err != nil {
				t.Error(err)
			}
		}
	}
	if got := read(t, file.Name()); got != "first\nlist\nlast\nlist\n" {
		t.Errorf("%q", got)
	}
	if _, err := os.Readlink(link); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeWrittenIsFoundBeforeTheWork(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("none/file", link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "none/file"), link} {
		if outfile.Check(path) == nil {
			t.Error(path)
		}
	}
	only(t, dir, 1)
}
