//go:build unix

package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

const stranger = 54321

func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file to another user")
	}
}

// old makes a file that a sweep would remove.
func old(t *testing.T, path string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte("precious"), 0o644))
	long := time.Now().Add(-2 * KeepFor)
	must(t, os.Chtimes(path, long, long))
}

func TestAStateDirectoryOfOthersIsRefusedAndNothingOfTheirsIsChanged(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(state, victim string) error
		root  bool
	}{
		{"uploads is a link", func(s, v string) error { return os.Symlink(v, filepath.Join(s, "uploads")) }, false},
		{"all is for everybody", func(s, v string) error {
			return errors.Join(os.Rename(v, filepath.Join(s, "uploads")), os.Symlink(filepath.Join(s, "uploads"), v), os.Chmod(s, 0o777))
		}, false},
		{"uploads is for everybody", func(s, v string) error {
			return errors.Join(os.Chmod(v, 0o777), os.Rename(v, filepath.Join(s, "uploads")), os.Symlink(filepath.Join(s, "uploads"), v))
		}, false},
		{"the state is of another user", func(s, v string) error {
			return errors.Join(os.Rename(v, filepath.Join(s, "uploads")), os.Symlink(filepath.Join(s, "uploads"), v), os.Chown(s, stranger, stranger))
		}, true},
		{"uploads is of another user", func(s, v string) error {
			return errors.Join(os.Chown(v, stranger, stranger), os.Rename(v, filepath.Join(s, "uploads")), os.Symlink(filepath.Join(s, "uploads"), v))
		}, true},
		{"the key is of another user", func(s, v string) error {
			k := filepath.Join(s, "key")
			return errors.Join(os.WriteFile(k, make([]byte, keySize), 0o600), os.Chown(k, stranger, stranger))
		}, true},
		{"others may write the key", func(s, v string) error {
			k := filepath.Join(s, "key")
			return errors.Join(os.WriteFile(k, make([]byte, keySize), 0o600), os.Chmod(k, 0o622))
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.root {
				asRoot(t)
			}
			state, victim := filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "victim")
			must(t, errors.Join(os.Mkdir(state, 0o700), os.Mkdir(victim, 0o755)))
			for _, name := range []string{"mail", "key-1", strings.Repeat("a", 64), strings.Repeat("b", 64) + lockSuffix} {
				old(t, filepath.Join(victim, name))
			}
			must(t, tt.spoil(state, victim))
			before, err := os.Stat(victim)
			must(t, err)
			s := NewUploads(state)
			u, err := s.Claim(key, size)
			if !fault.Is(err, fault.Denied) || u != nil || strings.Contains(err.Error(), "\n") || fault.HintOf(err) == "" && !strings.Contains(err.Error(), "no directory") {
				t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
			}
			s.Found(key)
			s.Filled(key.Repo)
			after, err := os.Stat(victim)
			must(t, err)
			entries, err := os.ReadDir(victim)
			if err != nil || len(entries) != 4 || before.Mode() != after.Mode() {
				t.Errorf("the victim is changed: %v %v, mode %v, was %v", entries, err, after.Mode(), before.Mode())
			}
			if raw, err := os.ReadFile(filepath.Join(victim, "mail")); err != nil || string(raw) != "precious" {
				t.Errorf("%q %v", raw, err)
			}
		})
	}
}

func TestNotesAreNotReadFromAndNotWrittenThroughWhatOthersOwn(t *testing.T) {
	state, victim := t.TempDir(), t.TempDir()
	must(t, os.Chmod(state, 0o700))
	p := NewProofs(state)
	d := oci.Digest("sha256:" + strings.Repeat("1", 64))
	must(t, p.Note(key.Repo, []oci.Digest{d}, nil))
	if !p.Of(key.Repo)[d] {
		t.Fatal("not noted")
	}
	file := p.notes.file(key.Repo)
	raw, err := os.ReadFile(file)
	must(t, err)
	planted := filepath.Join(victim, "planted")
	must(t, os.WriteFile(planted, raw, 0o600))
	must(t, errors.Join(os.Remove(file), os.Symlink(planted, file)))
	if p.Of(key.Repo)[d] {
		t.Error("a link is read")
	}
	must(t, p.Note(key.Repo, []oci.Digest{d}, nil)) // its name is given to a file of our own
	if info, err := os.Lstat(file); err != nil || !info.Mode().IsRegular() {
		t.Error(info, err)
	}
	must(t, os.Chmod(file, 0o666))
	if p.Of(key.Repo)[d] {
		t.Error("what everybody may write is read")
	}
	if err := p.Note(key.Repo, []oci.Digest{d}, nil); !fault.Is(err, fault.Denied) || !strings.Contains(fault.HintOf(err), "chmod go-w") {
		t.Error(err)
	}
	if got, err := os.ReadFile(planted); err != nil || string(got) != string(raw) {
		t.Error("the victim is changed", err)
	}
}
