package canary

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// Reason says why files may contain a secret.
type Reason struct {
	Package string // the last element of the path of the package whose tests write the files; "" means any
	Name    string // a pattern of path.Match for the last elements of a path
	Why     string
}

// largest is how many bytes of a file are searched: layers of some GiB consist of zeros or of random bytes.
const largest = 64 << 20

// Files fails the test if a file below dir contains a secret when the test ends. Call it before the program that
// writes there is started, so that it has ended when the files are searched.
func Files(tb testing.TB, dir string, but ...Reason) {
	tb.Helper()
	tb.Cleanup(func() {
		tb.Helper()
		leaks, err := Walk(dir, but)
		if err != nil {
			tb.Errorf("search %s: %v", dir, err)
		}
		for name, found := range leaks {
			for _, f := range found {
				tb.Errorf("file %s: %s", name, f)
			}
		}
	})
}

// Walk searches all regular files below dir, and their names, but those for which there is a reason. It returns what it
// found by the path in dir. A directory that does not exist is empty.
func Walk(dir string, but []Reason) (map[string][]Finding, error) {
	all := map[string][]Finding{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) || os.IsPermission(err) {
			return nil
		}
		if err != nil {
			return err
		}
		in, _ := filepath.Rel(dir, name)
		in = filepath.ToSlash(in)
		if excused(in, but) {
			return nil
		}
		found := Search([]byte(in))
		if d.Type().IsRegular() {
			f, err := os.Open(name)
			if os.IsNotExist(err) || os.IsPermission(err) {
				return nil
			}
			if err != nil {
				return err
			}
			inside, err := searchStream(f, largest)
			f.Close()
			if err != nil {
				return err
			}
			found = append(found, inside...)
		}
		if len(found) > 0 {
			all[in] = found
		}
		return nil
	})
	return all, err
}

// excused reports whether one of the reasons is for a path.
func excused(name string, but []Reason) bool {
	parts := strings.Split(name, "/")
	for _, r := range but {
		n := strings.Count(r.Name, "/") + 1
		if n > len(parts) {
			continue
		}
		if ok, _ := path.Match(r.Name, strings.Join(parts[len(parts)-n:], "/")); ok {
			return true
		}
	}
	return false
}
