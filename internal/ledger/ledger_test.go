package ledger

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/ours"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

const (
	size    = int64(100 << 20)
	session = "https://reg.example/v2/app/blobs/uploads/1?_state=CANARY-capability"
)

var key = Key{Repo: ref.Repo{Host: "reg.example", Path: "team/canary-app"}, Digest: oci.Sum([]byte("blob"))}

func claim(tb testing.TB, s *Uploads, size int64) *Upload {
	tb.Helper()
	u, err := s.Claim(key, size)
	if err != nil || u == nil {
		tb.Fatal(u, err)
	}
	tb.Cleanup(u.Release)
	return u
}

func mark(n int) oci.Mark {
	return oci.Mark{At: int64(n) * MarkEvery, State: bytes.Repeat([]byte{byte(n)}, 100)}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// write records a session with n marks and releases the upload.
func write(tb testing.TB, s *Uploads, n int) {
	tb.Helper()
	u := claim(tb, s, size)
	must(tb, u.Begin(session))
	for i := range n {
		must(tb, u.Mark(mark(i+1)))
	}
	u.Release()
}

func path(s *Uploads) string { return filepath.Join(s.uploads(), key.file()) }

func TestAnUploadComesBackAsItWasLeft(t *testing.T) {
	dir := t.TempDir()
	u := claim(t, NewUploads(dir), size)
	if u.Left() != nil {
		t.Fatal("a new upload has progress from an earlier owner")
	}
	must(t, u.Begin("https://a.example/1"))
	must(t, u.Mark(mark(1)))
	must(t, u.Begin(session+"&old"))
	for i := range 5 {
		must(t, u.Mark(mark(i+1)))
	}
	must(t, u.Mark(mark(3))) // the owner went back
	must(t, u.Move(session))
	u.Release()

	u = claim(t, NewUploads(dir), size)
	left := u.Left()
	if left == nil || left.Session != session || left.Sent() != 3*MarkEvery || len(left.Marks) != 3 || !bytes.Equal(left.Marks[2].State, mark(3).State) {
		t.Fatalf("%+v", left)
	}
	if left.Reach() < left.Sent()+MarkEvery || time.Since(left.At) > time.Minute {
		t.Errorf("reach %d, at %v", left.Reach(), left.At)
	}
	must(t, u.Mark(mark(4)))
	u.Release()
	u = claim(t, NewUploads(dir), size)
	if u.Left().Sent() != 4*MarkEvery {
		t.Errorf("the last mark is %d after the upload was resumed", u.Left().Sent())
	}
	u.Forget()
	u = claim(t, NewUploads(dir), size)
	if u.Left() != nil {
		t.Error("the progress is still there after Forget")
	}
}

func TestARecordOfABlobOfAnotherSizeIsDropped(t *testing.T) {
	s := NewUploads(t.TempDir())
	write(t, s, 2)
	if u := claim(t, s, size+1); u.Left() != nil {
		t.Error(u.Left())
	}
}

// No part of a damaged record is trusted. The records before it are.
func TestEveryFlippedBitAndEveryCutIsFound(t *testing.T) {
	s := NewUploads(t.TempDir())
	write(t, s, 2)
	whole, err := os.ReadFile(path(s))
	must(t, err)
	ends := recordEnds(t, s, whole)
	sound := func(n int) (count int) {
		for _, end := range ends {
			if end <= n {
				count++
			}
		}
		return count
	}
	check := func(what string, raw []byte, records int) {
		t.Helper()
		left, n := s.reader(t).read(raw)
		want := 0
		if records > 0 {
			want = ends[records-1]
		}
		if n != want || records == 0 && left.Session != "" || records > 0 && (left.Session != session || len(left.Marks) != records-1) {
			t.Fatalf("%s: %d bytes and %+v were accepted, want %d bytes", what, n, left, want)
		}
	}
	for i := range whole {
		for _, bit := range []byte{0x01, 0x80} {
			raw := slices.Clone(whole)
			raw[i] ^= bit
			check(fmt.Sprintf("byte %d flipped", i), raw, sound(i))
		}
		check(fmt.Sprintf("cut to %d bytes", i), whole[:i], sound(i))
	}
	check("whole", whole, 3)
	check("with junk", append(slices.Clone(whole), "junk"...), 3)
	check("records swapped", slices.Concat(whole[:ends[0]], whole[ends[1]:], whole[ends[0]:ends[1]]), 1)
	check("of a newer version", append([]byte{version + 1}, whole[1:]...), 0)
}

func ready(tb testing.TB, s *Uploads) *ours.Dir {
	tb.Helper()
	d, err := s.ready()
	must(tb, err)
	tb.Cleanup(func() { must(tb, d.Close()) })
	return d
}

func (s *Uploads) reader(tb testing.TB) *Upload {
	tb.Helper()
	d := ready(tb, s)
	seal, err := s.sealer(d)
	must(tb, err)
	return &Upload{book: book{seal, key.file()}, size: size}
}

func recordEnds(tb testing.TB, s *Uploads, raw []byte) (ends []int) {
	tb.Helper()
	u := s.reader(tb)
	for n, rest := uint32(0), raw; len(rest) > 0; n++ {
		var ok bool
		if _, rest, ok = u.decode(n, rest); !ok {
			tb.Fatal("the file is not sound")
		}
		ends = append(ends, len(raw)-len(rest))
	}
	return ends
}

func TestADamagedFileIsGoneOnWithFromWhereItIsSound(t *testing.T) {
	s := NewUploads(t.TempDir())
	write(t, s, 3)
	raw, err := os.ReadFile(path(s))
	must(t, err)
	must(t, os.WriteFile(path(s), raw[:len(raw)-7], 0o600))
	u := claim(t, s, size)
	if u.Left().Sent() != 2*MarkEvery {
		t.Fatalf("%+v", u.Left())
	}
	must(t, u.Mark(mark(3)))
	u.Release()
	if u = claim(t, s, size); u.Left().Sent() != 3*MarkEvery {
		t.Errorf("%+v", u.Left())
	}
}

func TestARecordBelongsToItsUploadAlone(t *testing.T) {
	s := NewUploads(t.TempDir())
	write(t, s, 1)
	other := Key{Repo: ref.Repo{Host: "evil.example", Path: key.Repo.Path}, Digest: key.Digest}
	raw, err := os.ReadFile(path(s))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(s.uploads(), other.file()), raw, 0o600))
	u, err := s.Claim(other, size)
	must(t, err)
	defer u.Release()
	if u.Left() != nil {
		t.Error("the session of another repository was accepted")
	}
}

func TestOneUploadHasOneOwner(t *testing.T) {
	dir := t.TempDir()
	first := claim(t, NewUploads(dir), size)
	must(t, first.Begin(session))
	if second, err := NewUploads(dir).Claim(key, size); second != nil || err != nil {
		t.Fatal(second, err)
	}
	first.Release()
	claim(t, NewUploads(dir), size)
}

func TestOfManyThatClaimAtOnceOneIsTheOwner(t *testing.T) {
	dir := t.TempDir()
	var mu sync.Mutex
	var owned, at, most int
	var wg sync.WaitGroup
	for range 8 {
		s := NewUploads(dir)
		wg.Go(func() {
			for range 50 {
				u, err := s.Claim(key, size)
				if err != nil {
					t.Error(err)
				}
				if u == nil {
					continue
				}
				mu.Lock()
				owned, at = owned+1, at+1
				most = max(most, at)
				mu.Unlock()
				if err := u.Begin(session); err != nil {
					t.Error(err)
				}
				mu.Lock()
				at--
				mu.Unlock()
				u.Forget()
			}
		})
	}
	wg.Wait()
	if most != 1 || owned == 0 {
		t.Errorf("%d owners at once, want 1; %d in total", most, owned)
	}
}

func TestNoFileShowsWhatIsInIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := NewUploads(dir)
	u := claim(t, s, size)
	must(t, u.Begin(session))
	must(t, u.Move(session+"2"))
	must(t, u.Mark(mark(1)))
	files := 0
	must(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		must(t, err)
		info, err := d.Info()
		must(t, err)
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", p, info.Mode())
		}
		raw := []byte(p)
		if !d.IsDir() {
			files++
			more, err := os.ReadFile(p)
			must(t, err)
			raw = append(raw[len(dir):], more...)
		}
		for _, secret := range []string{"CANARY", "canary", "reg.example", "uploads/1", string(key.Digest)[7:]} {
			if bytes.Contains(raw, []byte(secret)) {
				t.Errorf("%s shows %q", p, secret)
			}
		}
		return nil
	}))
	if files < 3 {
		t.Errorf("%d files", files)
	}
}

func TestWhatNobodyTouchedForAWeekIsSweptUnlessItIsOwned(t *testing.T) {
	dir := t.TempDir()
	s := NewUploads(dir)
	write(t, s, 1)
	owned, err := s.Claim(Key{Repo: key.Repo, Digest: oci.Sum(nil)}, size)
	must(t, err)
	defer owned.Release()
	must(t, owned.Begin(session))
	must(t, os.WriteFile(filepath.Join(s.uploads(), "key-123"), nil, 0o600))
	age := func(d time.Duration) {
		entries, err := os.ReadDir(s.uploads())
		must(t, err)
		for _, e := range entries {
			must(t, os.Chtimes(filepath.Join(s.uploads(), e.Name()), time.Time{}, time.Now().Add(-d)))
		}
	}
	names := func() string {
		entries, err := os.ReadDir(s.uploads())
		must(t, err)
		var all []string
		for _, e := range entries {
			all = append(all, e.Name())
		}
		return strings.Join(all, " ")
	}
	age(KeepFor - time.Hour)
	ready(t, NewUploads(dir))
	if n := len(strings.Fields(names())); n != 5 {
		t.Fatalf("swept too early: %s", names())
	}
	age(KeepFor + time.Hour)
	u := claim(t, s, size) // the sweep was a moment ago
	if u.Left() != nil {
		t.Error("the progress of an old upload was returned")
	}
	u.Release()
	ready(t, NewUploads(dir))
	if n := len(strings.Fields(names())); n != 2 || !strings.Contains(names(), filepath.Base(owned.path)) {
		t.Errorf("files that are left: %s", names())
	}
}

func TestAKeyThatIsNotFitIsReplacedAndItsRecordsAreLost(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"readable by others": func(p string) error { return os.Chmod(p, 0o644) },
		"cut":                func(p string) error { return os.Truncate(p, 31) },
		"a link": func(p string) error {
			must(t, os.Rename(p, p+"2"))
			return os.Symlink(p+"2", p)
		},
		"gone":    os.Remove,
		"another": func(p string) error { return os.WriteFile(p, bytes.Repeat([]byte{7}, keySize), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			s := NewUploads(t.TempDir())
			write(t, s, 1)
			must(t, spoil(filepath.Join(s.dir, "key")))
			u := claim(t, NewUploads(s.dir), size)
			if u.Left() != nil {
				t.Error("a record that was encrypted with another key was read")
			}
			must(t, u.Begin(session))
			u.Release()
			if u := claim(t, NewUploads(s.dir), size); u.Left() == nil {
				t.Error("the new key was not used again")
			}
			info, err := os.Lstat(filepath.Join(s.dir, "key"))
			must(t, err)
			if info.Mode() != 0o600 {
				t.Error(info.Mode())
			}
		})
	}
}

func TestProcessesThatMakeTheKeyAtOnceAgreeOnOne(t *testing.T) {
	for range 20 {
		dir := t.TempDir()
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				u, err := NewUploads(dir).Claim(Key{Repo: ref.Repo{Host: "a", Path: strconv.Itoa(i)}}, size)
				if err != nil || u.Begin(session) != nil {
					t.Error(err)
					return
				}
				u.Release()
			})
		}
		wg.Wait()
		for i := range 4 {
			u, err := NewUploads(dir).Claim(Key{Repo: ref.Repo{Host: "a", Path: strconv.Itoa(i)}}, size)
			must(t, err)
			if u.Left() == nil {
				t.Fatal("a record was encrypted with a key that was replaced")
			}
			u.Release()
		}
	}
}

func TestAStateDirectoryThatDoesNotWorkIsAnErrorOfTheDisk(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	_, err := NewUploads(filepath.Join(file, "state")).Claim(key, size)
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), file) {
		t.Error(err)
	}
	s := NewUploads(t.TempDir())
	must(t, os.MkdirAll(path(s), 0o700))
	if _, err := s.Claim(key, size); err == nil {
		t.Error("a directory was accepted as a record")
	}
}

func TestADirectoryThatIsRemovedIsMadeAnew(t *testing.T) {
	s := NewUploads(t.TempDir())
	write(t, s, 1)
	must(t, s.Fill(key.Repo))
	must(t, os.RemoveAll(s.dir))
	if filling, err := s.Filling(key.Repo); filling || err != nil {
		t.Error(filling, err)
	}
	write(t, s, 2)
	if u := claim(t, NewUploads(s.dir), size); u.Left().Sent() != 2*MarkEvery {
		t.Errorf("%+v", u.Left())
	}
}

func TestARepositoryIsBeingFilledUntilItHasATag(t *testing.T) {
	s := NewUploads(t.TempDir())
	for i, step := range []func(){func() {}, func() { must(t, s.Fill(key.Repo)) }, func() { s.Filled(key.Repo) }} {
		step()
		filling, err := NewUploads(s.dir).Filling(key.Repo)
		other, err2 := s.Filling(ref.Repo{Host: key.Repo.Host, Path: "other"})
		if filling != (i == 1) || other || err != nil || err2 != nil {
			t.Errorf("step %d: %v %v %v %v", i, filling, other, err, err2)
		}
	}
	if _, err := os.Lstat(filepath.Join(s.dir, "key")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key was made, which costs an fsync, although nothing is encrypted: %v", err)
	}
	var none *Uploads
	none.Filled(key.Repo)
	if filling, err := none.Filling(key.Repo); filling || err != nil || none.Fill(key.Repo) != nil {
		t.Error("without a state directory, a repository is being filled")
	}
}

func TestNoStateIsNoError(t *testing.T) {
	s := NewUploads("")
	u, err := s.Claim(key, size)
	if u != nil || err != nil || u.Left() != nil || u.Begin("") != nil || u.Move("") != nil || u.Mark(mark(1)) != nil {
		t.Error(u, err)
	}
	u.Forget()
	u.Release()
}

func TestAnAddressThatIsTooLongEndsTheRecord(t *testing.T) {
	s := NewUploads(t.TempDir())
	u := claim(t, s, size)
	must(t, u.Begin(session))
	if err := u.Move(strings.Repeat("x", maxRecord)); err == nil {
		t.Error("an address that is too long was stored")
	}
	if u.Mark(mark(1)) == nil {
		t.Error("records were written after an error")
	}
}

func FuzzFile(f *testing.F) {
	s := NewUploads(f.TempDir())
	write(f, s, 2)
	raw, err := os.ReadFile(path(s))
	must(f, err)
	f.Add(raw)
	f.Add(raw[:len(raw)/2])
	f.Add([]byte{version, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{version, 0, 0, 0, 0})
	u := s.reader(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		u.records = 0
		left, n := u.read(in)
		// Only a prefix of the original file may be accepted, because no one else has the key.
		if n > 0 && (n > len(raw) || !bytes.Equal(in[:n], raw[:n]) || left.Session != session) {
			t.Fatalf("%d bytes: %+v", n, left)
		}
	})
}

func BenchmarkMark(b *testing.B) {
	u := claim(b, NewUploads(b.TempDir()), 1<<50)
	must(b, u.Begin(session))
	state := make([]byte, 108)
	rand.Read(state)
	for i := int64(1); b.Loop(); i++ {
		must(b, u.Mark(oci.Mark{At: i * MarkEvery, State: state}))
	}
}
