//go:build linux && amd64

package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/internal/testbed"
)

// world has two registries that can kill dray, and counts what happened.
type world struct {
	t        *testing.T
	src, dst *testbed.Registry
	blade    *blade
	dir      string
	dray     string // the program
	rand     *rand.Rand
	sizes    map[string]int64 // of the blobs at the source

	kills, rounds  int
	where          map[string]int
	arrived, again int64
	twice          int // blobs that a second repository got
}

func newWorld(t *testing.T) *world {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir, dray: filepath.Join(dir, "dray"), blade: newBlade(), rand: rand.New(rand.NewPCG(15, 2)),
		sizes: map[string]int64{}, where: map[string]int{}}
	if err := os.Symlink(self, w.dray); err != nil {
		t.Fatal(err)
	}
	w.src = testbed.Distribution(t, testbed.Options{Front: w.blade.front})
	w.dst = testbed.Distribution(t, testbed.Options{Front: w.blade.front, Dir: filepath.Join(dir, "registry")})
	keep := func(m testbed.Image) {
		for _, l := range m.Layers {
			w.sizes[l.Digest.String()] = l.Size
		}
	}
	keep(testbed.Random(t, w.src, "large", "v1", testbed.RandomOptions{Layers: 1, Size: 17<<20 + 12345, Seed: 1}))
	keep(testbed.Random(t, w.src, "app", "v1", testbed.RandomOptions{Layers: 3, Size: 400_000, Seed: 2}))
	keep(testbed.Random(t, w.src, "team/one", "v1", testbed.RandomOptions{Layers: 2, Size: 200_000, Seed: 3}))
	keep(testbed.Index(t, w.src, "team/one", "v2", 3))
	keep(testbed.Random(t, w.src, "team/two", "v1", testbed.RandomOptions{Layers: 2, Size: 200_000, Seed: 3}))
	keep(testbed.Random(t, w.src, "team/two", "v2", testbed.RandomOptions{Layers: 1, Size: 300_000, Seed: 4}))
	return w
}

// settle waits until the registries have handled everything that dray sent before it was killed.
func (w *world) settle() {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); !w.blade.isIdle() || isConnected(w.t, w.src.Host) || isConnected(w.t, w.dst.Host); {
		if time.Now().After(end) {
			w.t.Fatal("a registry still has connections of a process that was killed")
		}
		time.Sleep(time.Millisecond)
	}
}

// isConnected reports whether a socket of this listener is open.
func isConnected(t *testing.T, host string) bool {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: only Linux shows the connections of a listener")
	}
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var port int
	if _, err := fmt.Sscanf(host, "127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	local := fmt.Sprintf("0100007F:%04X", port)
	const established, closeWait = "01", "08"
	for in := bufio.NewScanner(f); in.Scan(); {
		if p := strings.Fields(in.Text()); len(p) > 3 && p[1] == local && (p[3] == established || p[3] == closeWait) {
			return true
		}
	}
	return false
}

// blade kills dray at a request.
type blade struct {
	moments []string

	mu      sync.Mutex
	running int
	seen    int
	at      int
	moment  string
	kill    func()
}

// The moments of a request, in their order: before the registry knows it, within its body, when all was done and the
// answer has not begun, within the answer, and when it was sent.
func newBlade() *blade {
	return &blade{moments: []string{"before", "body", "done", "answer", "after"}}
}

// sharpen lets kill be called at the request at, which counts from 1; nil kills nothing.
func (b *blade) sharpen(kill func(), at int, moment string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kill, b.at, b.moment, b.seen = kill, at, moment, 0
}

// passed returns the number of requests since sharpen.
func (b *blade) passed() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen
}

func (b *blade) isIdle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.running == 0
}

func (b *blade) front(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.running++
		b.seen++
		kill, moment := func() {}, ""
		if b.kill != nil && b.seen == b.at {
			kill, moment = sync.OnceFunc(b.kill), b.moment
		}
		b.mu.Unlock()
		defer func() {
			b.mu.Lock()
			b.running--
			b.mu.Unlock()
		}()
		switch moment {
		case "before":
			kill()
		case "body":
			r.Body = &cutBody{r.Body, rand.Int64N(max(r.ContentLength, 1)), kill}
		case "done":
			w = &cutAnswer{ResponseWriter: w, kill: kill}
		case "answer":
			w = &cutAnswer{ResponseWriter: w, after: rand.Int64N(1 << 18), kill: kill}
		}
		next.ServeHTTP(w, r)
		if moment != "" {
			_ = http.NewResponseController(w).Flush() // the connection may be gone
			kill()
		}
	})
}

// cutBody kills when so many bytes were read.
type cutBody struct {
	io.ReadCloser
	left int64
	kill func()
}

func (c *cutBody) Read(p []byte) (int, error) {
	if c.left <= 0 {
		c.kill()
	}
	n, err := c.ReadCloser.Read(p[:min(len(p), int(max(c.left, 1<<10)))])
	c.left -= int64(n)
	return n, err
}

// cutAnswer kills when so many bytes were written; with 0 before the status.
type cutAnswer struct {
	http.ResponseWriter
	after int64
	kill  func()
}

func (c *cutAnswer) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *cutAnswer) WriteHeader(code int) {
	if c.after == 0 {
		c.kill()
	}
	c.ResponseWriter.WriteHeader(code)
}

func (c *cutAnswer) Write(p []byte) (int, error) {
	if c.after -= int64(len(p)); c.after <= 0 {
		c.kill()
	}
	return c.ResponseWriter.Write(p)
}

// places counts at how many places a line can be killed.
type places struct{ requests, calls int }

// scene is work for dray.
type scene struct {
	name   string
	begin  func(*round)
	lines  func(*round) [][]string
	names  func(*round) map[string]string // REPO:TAG at the target to REPO:TAG at the source
	files  func(r *round, done bool)      // checks the files that the work makes
	leaves []string                       // the names of those files
	large  bool                           // dray remembers the uploads
	over   string                         // what dray says if there is nothing left to do

	places []places // of each line
}

// round is one go at a scene.
type round struct {
	*world
	scene *scene
	n     int
	dir   string
	last  string // where dray was killed
}

func (r *round) from(name string) string { return r.src.Host + "/" + name }
func (r *round) to(name string) string   { return fmt.Sprintf("%s/r%d/%s", r.dst.Host, r.n, name) }
func (r *round) file(name string) string { return filepath.Join(r.dir, name) }

// named returns names at the target and what they are at the source, in turns.
func named(pairs ...string) func(*round) map[string]string {
	return func(r *round) map[string]string {
		all := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			all[fmt.Sprintf("r%d/%s", r.n, pairs[i])] = pairs[i+1]
		}
		return all
	}
}

func nothing(*round) map[string]string { return nil }

// team is what is below team/ at the source.
var team = []string{"team/one:v1", "team/one:v1", "team/one:v2", "team/one:v2", "team/two:v1", "team/two:v1", "team/two:v2", "team/two:v2"}

func namesIn(t *testing.T, raw []byte) []string {
	t.Helper()
	var list struct{ Tags []string }
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	return list.Tags
}

// write writes a file of the round.
func (r *round) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(r.file(name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// layoutIsWhole checks an OCI layout by its files: each blob that has its name is whole, and what the index names is
// there. It returns how many images have names.
func layoutIsWhole(t *testing.T, files fs.FS) (names int) {
	t.Helper()
	raw, err := fs.ReadFile(files, "index.json")
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	var index v1.Index
	if err != nil || json.Unmarshal(raw, &index) != nil {
		t.Errorf("index.json: %v %.200s", err, raw)
		return 0
	}
	blobs, err := fs.Glob(files, "blobs/sha256/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range blobs {
		base := name[strings.LastIndexByte(name, '/')+1:]
		if content, err := fs.ReadFile(files, name); len(base) == 64 && (err != nil || digest.FromBytes(content).Encoded() != base) {
			t.Errorf("%s is not whole: %d bytes, %v", name, len(content), err)
		}
	}
	for _, d := range index.Manifests {
		if d.Annotations[v1.AnnotationRefName] != "" {
			names++
		}
		below(t, files, d)
	}
	return names
}

func below(t *testing.T, files fs.FS, d v1.Descriptor) {
	t.Helper()
	name := "blobs/sha256/" + d.Digest.Encoded()
	info, err := fs.Stat(files, name)
	if err != nil || info.Size() != d.Size {
		t.Errorf("the layout lacks %s: %v", name, err)
		return
	}
	if !strings.Contains(d.MediaType, "manifest") && !strings.Contains(d.MediaType, "index") {
		return
	}
	raw, err := fs.ReadFile(files, name)
	if err != nil {
		t.Error(err)
		return
	}
	doc, err := testbed.ReadDocument(raw)
	if err != nil {
		t.Error(err)
	}
	for _, c := range slices.Concat(doc.Manifests, doc.Blobs()) {
		below(t, files, c)
	}
}

// unpack returns the directory with what is in a tar file, and false if there is no file. A file that has its name is
// whole.
func (r *round) unpack(name string) (fs.FS, bool) {
	r.t.Helper()
	raw, err := os.ReadFile(r.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false
	}
	dir := r.t.TempDir()
	in := tar.NewReader(bytes.NewReader(raw))
	for err == nil {
		var h *tar.Header
		h, err = in.Next()
		if err != nil || h.Typeflag != tar.TypeReg {
			continue
		}
		var content []byte
		if content, err = io.ReadAll(in); err == nil {
			at := filepath.Join(dir, filepath.FromSlash(h.Name))
			err = errors.Join(os.MkdirAll(filepath.Dir(at), 0o700), os.WriteFile(at, content, 0o600))
		}
	}
	if err != io.EOF {
		r.t.Errorf("%s is not whole: %v", name, err)
	}
	return os.DirFS(dir), true
}
