//go:build unix

package ours

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/drayage/dray/fault"
)

// stranger is a user and a group of nobody.
const stranger = 54321

// asRoot skips a test that gives files to others.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file to another user")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refusal returns the line of a refusal, which has a next step.
func refusal(t *testing.T, err error) string {
	t.Helper()
	if !fault.Is(err, fault.Denied) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("not refused: %v", err)
	}
	return err.Error() + " " + fault.HintOf(err)
}

func TestADirectoryOfOthersIsRefusedWithTheCommandThatMendsIt(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(dir string) error
		root  bool
		want  string
	}{
		{"everybody may write it", func(d string) error { return os.Chmod(d, 0o777) }, false, "chmod go-w "},
		{"sticky", func(d string) error { return os.Chmod(d, 0o777|fs.ModeSticky) }, false, "chmod go-w "},
		{"a group may write it", func(d string) error { return errors.Join(os.Chown(d, -1, stranger), os.Chmod(d, 0o775)) }, true, "chmod go-w "},
		{"a foreign group, with setgid", func(d string) error { return errors.Join(os.Chown(d, -1, stranger), os.Chmod(d, 0o775|fs.ModeSetgid)) }, true, "chmod go-w "},
		{"of another user", func(d string) error { return os.Chown(d, stranger, stranger) }, true, "chown -R 0 "},
		{"a link of another user", func(d string) error {
			to := filepath.Join(filepath.Dir(d), "elsewhere")
			return errors.Join(os.Remove(d), os.Mkdir(to, 0o700), os.Symlink(to, d), os.Lchown(d, stranger, stranger))
		}, true, "made this symbolic link rm "},
		{"a link of another user on the way", func(d string) error {
			above := filepath.Dir(d)
			return errors.Join(os.Rename(above, above+"2"), os.Symlink(above+"2", above), os.Lchown(above, stranger, stranger))
		}, true, "made this symbolic link rm "},
		{"a file", func(d string) error { return errors.Join(os.Remove(d), os.WriteFile(d, nil, 0o600)) }, false, "it is no directory"},
		{"a pipe", func(d string) error { return errors.Join(os.Remove(d), syscall.Mkfifo(d, 0o600)) }, false, "it is no directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.root {
				asRoot(t)
			}
			dir := filepath.Join(t.TempDir(), "above", "state")
			must(t, os.MkdirAll(dir, 0o700))
			must(t, tt.spoil(dir))
			_, err := Create(dir)
			if got := strings.ReplaceAll(refusal(t, err), "if its content can be trusted, mend it: ", ""); !strings.Contains(got, tt.want) {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestADirectoryOfOnesOwnIsOpenedAlsoByALink(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	d, err := Create(dir)
	must(t, err)
	must(t, d.Close())
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Error(info, err)
	}
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(dir, link))
	d, err = Open(link)
	must(t, err)
	must(t, d.Replace("file", []byte("x")))
	must(t, d.Close())
	if raw, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(raw) != "x" {
		t.Error(string(raw), err)
	}
	if _, err := Open(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// Kubernetes gives the root of a volume, and all that is in it, to the group of the pod, with the bit setgid. Images for
// OpenShift give directories to the group of root.
func TestTheVolumeOfAPodMayBeWrittenByItsGroup(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "volume")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Chown(dir, -1, os.Getegid()))
	must(t, os.Chmod(dir, 0o770|fs.ModeSetgid))
	d, err := Open(dir)
	must(t, err)
	defer d.Close()
	sub, err := d.CreateSub("uploads")
	must(t, err)
	must(t, os.Chmod(filepath.Join(dir, "uploads"), 0o770|fs.ModeSetgid))
	must(t, sub.Close())
	sub, err = d.Sub("uploads")
	must(t, err)
	defer sub.Close()
	must(t, sub.Replace("key", nil))
	must(t, os.Chmod(filepath.Join(dir, "uploads", "key"), 0o660))
	f, err := sub.Read("key")
	must(t, err)
	must(t, f.Close())
	if !sub.IsShared() || !IsVolume(dir) {
		t.Error("the volume does not count as shared")
	}
	must(t, Make(dir))
}

func TestAServerMayShareItsDirectoryWithAGroupOfItsOwnAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Chmod(dir, 0o775))
	must(t, Make(dir))
	must(t, os.Chmod(dir, 0o777))
	refusal(t, Make(dir))
	must(t, os.Chmod(dir, 0o775))
	asRoot(t)
	must(t, os.Chown(dir, 0, stranger))
	refusal(t, Make(dir))
	must(t, os.Chown(dir, stranger, 0))
	refusal(t, Make(dir))
}

func TestWhatOthersPutIntoADirectoryIsNotOpenedAndNotChanged(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim")
	for _, tt := range []struct {
		name  string
		plant func(path string) error
		root  bool
		want  string
		reads bool // though it is not written
	}{
		{"a link", func(p string) error { return os.Symlink(victim, p) }, false, "it is not a regular file", false},
		{"a pipe", func(p string) error { return syscall.Mkfifo(p, 0o600) }, false, "it is not a regular file", false},
		{"a directory", func(p string) error { return os.Mkdir(p, 0o700) }, false, "it is not a regular file", false},
		{"a hard link", func(p string) error { return os.Link(victim, p) }, false, "it has a second name", true},
		{"a file of another user", func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o600), os.Chown(p, stranger, stranger)) }, true, "it belongs to the user 54321", false},
		{"a file that everybody may write", func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o600), os.Chmod(p, 0o666)) }, false, "everybody may write it", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.root {
				asRoot(t)
			}
			must(t, os.WriteFile(victim, []byte("precious"), 0o600))
			dir := t.TempDir()
			must(t, os.Chmod(dir, 0o700))
			d, err := Open(dir)
			must(t, err)
			defer d.Close()
			must(t, tt.plant(filepath.Join(dir, "file")))
			_, err = d.Write("file")
			if got := refusal(t, err); !strings.Contains(got, tt.want) {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
			f, err := d.Read("file")
			if tt.reads {
				must(t, err)
				must(t, f.Close())
			} else {
				refusal(t, err)
			}
			if _, err := d.Lock("file"); err == nil {
				t.Error("locked")
			}
			if tt.name != "a directory" {
				must(t, d.Replace("file", []byte("new"))) // a new file takes the name
			}
			if raw, err := os.ReadFile(victim); err != nil || string(raw) != "precious" {
				t.Errorf("the victim is changed: %q %v", raw, err)
			}
		})
	}
}

func TestADirectoryInADirectoryIsNoLink(t *testing.T) {
	victim, dir := t.TempDir(), t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	d, err := Open(dir)
	must(t, err)
	defer d.Close()
	for _, to := range []string{victim, "real"} {
		must(t, os.MkdirAll(filepath.Join(dir, "real"), 0o700))
		must(t, os.Symlink(to, filepath.Join(dir, "uploads")))
		_, err := d.CreateSub("uploads")
		refusal(t, err)
		must(t, os.Remove(filepath.Join(dir, "uploads")))
	}
}

func TestADirectoryThatIsSwappedDuringUseStaysTheOneThatWasOpened(t *testing.T) {
	above := t.TempDir()
	dir, victim := filepath.Join(above, "state"), filepath.Join(above, "victim")
	must(t, os.Mkdir(victim, 0o700))
	must(t, os.WriteFile(filepath.Join(victim, "file"), []byte("precious"), 0o600))
	d, err := Create(dir)
	must(t, err)
	defer d.Close()
	must(t, d.Replace("file", []byte("mine")))
	must(t, os.Rename(dir, dir+"2"))
	must(t, os.Symlink(victim, dir))
	f, err := d.Write("file")
	must(t, err)
	raw, err := io.ReadAll(f)
	must(t, errors.Join(err, f.Truncate(0), f.Close()))
	if string(raw) != "mine" {
		t.Errorf("read %q", raw)
	}
	if l, err := d.Lock("file"); err == nil && l != nil {
		t.Error("a lock of the victim's file counts")
	}
	must(t, d.Narrow())
	must(t, d.Remove("file"))
	names, err := d.List()
	if err != nil || len(names) != 0 {
		t.Error(names, err)
	}
	if raw, err := os.ReadFile(filepath.Join(victim, "file")); err != nil || string(raw) != "precious" {
		t.Errorf("the victim is changed: %q %v", raw, err)
	}
}

// The path is a link of another user to the victim from time to time. The victim belongs to root, as the directory does.
func TestARaceForThePathNeverOpensTheVictim(t *testing.T) {
	asRoot(t)
	above := t.TempDir()
	dir, victim, link := filepath.Join(above, "state"), filepath.Join(above, "victim"), filepath.Join(above, "link")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Mkdir(victim, 0o700))
	must(t, os.Symlink(victim, link))
	must(t, os.Lchown(link, stranger, stranger))
	mine, err := os.Stat(dir)
	must(t, err)
	stop, done := make(chan struct{}), make(chan struct{})
	defer func() { close(stop); <-done }()
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.Rename(dir, dir+"2")
			_ = os.Rename(link, dir)
			_ = os.Rename(dir, link)
			_ = os.Rename(dir+"2", dir)
		}
	}()
	opened := 0
	for range 20_000 {
		d, err := Open(dir)
		if err != nil {
			continue
		}
		info, err := d.Lstat(".")
		if err != nil || !os.SameFile(info, mine) {
			t.Fatal("the victim was opened", err)
		}
		opened++
		_ = d.Close()
	}
	if opened == 0 {
		t.Error("never opened")
	}
}

func TestOneHoldsALockAlsoIfItsFileIsRemoved(t *testing.T) {
	d, err := Create(filepath.Join(t.TempDir(), "d"))
	must(t, err)
	defer d.Close()
	first, err := d.Lock("x.lock")
	if err != nil || first == nil {
		t.Fatal(first, err)
	}
	if second, err := d.Lock("x.lock"); second != nil || err != nil {
		t.Error(second, err)
	}
	must(t, d.Remove("x.lock"))
	must(t, first.Close())
	third, err := d.Lock("x.lock")
	if err != nil || third == nil {
		t.Fatal(third, err)
	}
	must(t, third.Close())
}
