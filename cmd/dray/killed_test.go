//go:build linux && amd64

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/calls"
)

// kills returns how often dray is killed; `make soak` sets a higher number.
func kills(t *testing.T) int {
	t.Helper()
	n := 33
	if s := os.Getenv("DRAY_SOAK"); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// Whenever dray is killed, at a request or at a change of a file: each tag is whole, what it leaves on the disk is
// whole or known to be unfinished, and the next runs complete the work and send nothing again that had arrived.
func TestDrayThatIsKilledAnywhereLeavesWholeTagsAndFilesAndGoesOn(t *testing.T) {
	w := newWorld(t)
	scenes := scenes()
	for _, s := range scenes {
		w.round(s, nil) // learns how many places there are
	}
	n, last := kills(t), 0
	for i := 0; w.kills < n; i++ {
		if s := scenes[i%len(scenes)]; !t.Failed() {
			w.round(s, w.rand)
		} else {
			t.Fatalf("after %d kills", w.kills)
		}
		if w.kills/100 > last {
			last = w.kills / 100
			t.Logf("%d kills", w.kills)
		}
	}
	t.Logf("%d kills: %v; %d rounds, each in the end complete", w.kills, w.where, w.rounds)
	t.Logf("%d KiB of blobs arrived, of which %d KiB were sent again; %d blobs were sent to a second repository",
		w.arrived>>10, w.again>>10, w.twice)
}

// With a large blob, and with several repositories: each change of the state directory is a place to be killed.
func TestDrayThatIsKilledAtAnyChangeOfItsStateGoesOn(t *testing.T) {
	w := newWorld(t)
	for _, s := range registryScenes() {
		if !s.large && s.name != "transfer" {
			continue
		}
		n := 0
		r := w.open(s)
		r.trace(s.lines(r)[0], func(c calls.Call) calls.Act { n = c.N; return calls.Act{} }, "state").ok(t, s.lines(r)[0])
		r.close()
		all, before := 3*n, w.kills
		step := max(1, 4*all/kills(t))
		for k := 0; k < all && !t.Failed(); k += step {
			r := w.open(s)
			line := s.lines(r)[0]
			at, when := 1+k/3, []calls.Moment{calls.Before, calls.Within, calls.After}[k%3]
			out := r.trace(line, func(c calls.Call) calls.Act {
				if c.N == at {
					r.last = string(when) + " " + c.String()
					return calls.Act{Kill: when}
				}
				return calls.Act{}
			}, "state")
			if out.killed {
				w.kills++
				r.settle()
				r.check(false)
			}
			r.must(line)
			r.check(true)
			r.sentOnce()
			r.close()
		}
		t.Logf("%s: killed at %d of %d places: before, within and after each of %d changes", s.name, w.kills-before, all, n)
	}
}

// open begins a round, with names and files of its own.
func (w *world) open(s *scene) *round {
	w.t.Helper()
	w.rounds++
	r := &round{world: w, scene: s, n: w.rounds, dir: filepath.Join(w.dir, fmt.Sprint("round", w.rounds))}
	if err := os.Mkdir(r.dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	w.src.Reset()
	w.dst.Reset()
	if s.begin != nil {
		s.begin(r)
	}
	return r
}

func (r *round) close() {
	r.t.Helper()
	if err := os.RemoveAll(r.dir); err != nil {
		r.t.Error(err)
	}
}

// round does the work of a scene. Without chance nothing is killed.
func (w *world) round(s *scene, chance *rand.Rand) {
	w.t.Helper()
	r := w.open(s)
	defer r.close()
	for i, line := range s.lines(r) {
		if chance == nil {
			r.learn(i, line)
			continue
		}
		for range 3 {
			if !r.killed(i, line, chance) {
				break
			}
			r.check(false)
		}
		r.must(line)
	}
	r.check(true)
	r.sentOnce()
}

// learn runs a line without a kill, and counts the places at which it could be killed.
func (r *round) learn(i int, line []string) {
	r.t.Helper()
	r.blade.sharpen(nil, 0, "")
	n := 0
	r.trace(line, func(c calls.Call) calls.Act { n = c.N; return calls.Act{} }).ok(r.t, line)
	r.scene.places = append(r.scene.places, places{requests: r.blade.passed(), calls: n})
	r.t.Logf("%s, line %d: %d requests, %d changes of files", r.scene.name, i+1, r.blade.passed(), n)
}

// killed runs a line and kills it at one of its places. It returns false if it ended before.
func (r *round) killed(i int, line []string, chance *rand.Rand) bool {
	r.t.Helper()
	here := r.scene.places[i]
	var out outcome
	var where string
	if here.requests > 0 && chance.IntN(2) == 0 {
		where = r.blade.moments[chance.IntN(len(r.blade.moments))]
		out = r.cut(line, 1+chance.IntN(here.requests), where)
		where = "request, " + where
	} else {
		when := []calls.Moment{calls.Before, calls.Within, calls.After}[chance.IntN(3)]
		at := 1 + chance.IntN(max(here.calls, 1))
		out = r.trace(line, func(c calls.Call) calls.Act {
			if c.N == at {
				r.last = c.String()
				return calls.Act{Kill: when}
			}
			return calls.Act{}
		})
		where = "file, " + string(when)
	}
	if !out.killed {
		if r.scene.over == "" || !strings.Contains(out.stderr, r.scene.over) {
			out.ok(r.t, line)
		}
		return false
	}
	r.kills++
	r.where[where]++
	r.settle()
	return true
}

// must runs a line that succeeds.
func (r *round) must(line []string) {
	r.t.Helper()
	r.blade.sharpen(nil, 0, "")
	out := r.run(line)
	if out.code != 0 && r.scene.over != "" && strings.Contains(out.stderr, r.scene.over) {
		return // it was killed after it had done everything
	}
	out.ok(r.t, line)
}

// outcome is how a run of dray ended.
type outcome struct {
	code   int
	killed bool
	stderr string
}

func (o outcome) ok(t *testing.T, line []string) {
	t.Helper()
	if o.code != 0 || o.killed {
		t.Errorf("dray %s: exit code %d, killed %v\n%s", strings.Join(line, " "), o.code, o.killed, o.stderr)
	}
}

// cut runs a line, and kills it at its request at.
func (r *round) cut(line []string, at int, moment string) outcome {
	r.t.Helper()
	cmd, stderr, done := r.command(line)
	r.last = fmt.Sprintf("request %d, %s", at, moment)
	ended := make(chan struct{})
	ready := make(chan struct{})
	r.blade.sharpen(func() {
		<-ready
		_ = cmd.Process.Kill()
		<-ended
	}, at, moment)
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	close(ready)
	err := cmd.Wait()
	close(ended)
	done()
	if err != nil && cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), cmd.ProcessState.ExitCode() == -1, stderr.String()}
}

func (r *round) run(line []string) outcome {
	r.t.Helper()
	cmd, stderr, done := r.command(line)
	err := cmd.Run()
	done()
	if err != nil && cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), cmd.ProcessState.ExitCode() == -1, stderr.String()}
}

// command returns the command of a line. A last word that begins with > is the file for its output.
func (r *round) command(line []string) (cmd *exec.Cmd, stderr *bytes.Buffer, done func()) {
	r.t.Helper()
	stderr, done = &bytes.Buffer{}, func() {}
	cmd = exec.Command(r.dray, line...)
	if to, ok := strings.CutPrefix(line[len(line)-1], ">"); ok {
		f, err := os.Create(to)
		if err != nil {
			r.t.Fatal(err)
		}
		cmd.Args, cmd.Stdout, done = cmd.Args[:len(cmd.Args)-1], f, func() { f.Close() }
	}
	cmd.Env, cmd.Dir, cmd.Stderr = r.env(), r.dir, stderr
	return cmd, stderr, done
}

func (r *round) env() []string {
	state := filepath.Join(r.dir, "state")
	return []string{"HOME=" + r.dir, "DRAY_STATE_DIR=" + state, "TMPDIR=" + r.dir, "PATH=" + os.Getenv("PATH")}
}

// trace runs a line with on as the judge of what it changes in the directory of the round, or in a part of it.
func (r *round) trace(line []string, on func(calls.Call) calls.Act, part ...string) outcome {
	r.t.Helper()
	cmd, _, done := r.command(line)
	defer done()
	stderr, err := os.CreateTemp(r.t.TempDir(), "stderr")
	if err != nil {
		r.t.Fatal(err)
	}
	defer stderr.Close()
	r.blade.sharpen(nil, 0, "")
	below := filepath.Join(append([]string{r.dir}, part...)...)
	c := calls.Command{Args: cmd.Args, Env: cmd.Env, Dir: cmd.Dir, Stderr: stderr, Below: []string{below}, On: on}
	if f, ok := cmd.Stdout.(*os.File); ok {
		c.Stdout = f
	}
	code, killed := calls.Start(r.t, c).Wait(r.t)
	text, err := os.ReadFile(stderr.Name())
	if err != nil {
		r.t.Fatal(err)
	}
	return outcome{code, killed, string(text)}
}

// check checks what dray has left: at the target, and on the disk. All is there if the work is done.
func (r *round) check(done bool) {
	r.t.Helper()
	failed := r.t.Failed()
	r.tagsAreWhole(done)
	for _, q := range r.dst.Log() {
		refused := q.Status == http.StatusBadRequest || q.Status == http.StatusNotFound
		if q.Method == http.MethodPut && q.Kind == testbed.Manifest && refused {
			r.t.Errorf("a manifest came before what is below it: %d %s", q.Status, q.Path)
		}
	}
	if r.scene.files != nil {
		r.scene.files(r, done)
	}
	r.leftovers(done)
	if r.t.Failed() && !failed {
		r.t.Fatalf("round %d, %s, done %v, after the kill at %s\n%s", r.n, r.scene.name, done, r.last, r.dst.Story())
	}
}

// leftovers checks that a run that completed the work has left only what it should, and what it could not know: the
// temporary files of runs that were killed.
func (r *round) leftovers(done bool) {
	r.t.Helper()
	if !done {
		return
	}
	left, err := os.ReadDir(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range left {
		known := e.Name() == "state" || slices.Contains(r.scene.leaves, e.Name())
		known = known || strings.HasSuffix(e.Name(), ".dray-part") // goes when the archive is written the next time
		if !known && !strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(e.Name(), "dray-") {
			r.t.Errorf("%s stays", e.Name())
		}
	}
}

// tagsAreWhole checks that the tags of the target are those of the scene, and that everything below each is there.
func (r *round) tagsAreWhole(done bool) {
	r.t.Helper()
	names := r.scene.names(r)
	repos := map[string]bool{}
	for to := range names {
		repo, _, _ := strings.Cut(to, ":")
		repos[repo] = true
	}
	found := 0
	for repo := range repos {
		for _, tag := range tagsOf(r.t, r.dst, repo) {
			from, ok := names[repo+":"+tag]
			if !ok {
				r.t.Errorf("nobody asked for %s:%s", repo, tag)
				continue
			}
			fromRepo, fromTag, _ := strings.Cut(from, ":")
			testbed.Same(r.t, r.src, r.dst, fromRepo, fromTag, repo, tag)
			found++
		}
	}
	if done && found != len(names) {
		r.t.Errorf("%d of %d tags are there", found, len(names))
	}
}

// sentOnce checks that no repository got a blob twice, counted over all runs of the round. What had not arrived whole
// when dray was killed is sent again, unless the blob is so large that dray remembers its upload. A second repository
// may get a blob instead of mounting it, because what a run saw is noted at its end.
func (r *round) sentOnce() {
	r.t.Helper()
	committed := map[string]int{} // by repository and digest, how many uploads the target took
	digests := map[string]bool{}
	var total int64
	for _, q := range r.dst.Log() {
		if q.Kind != testbed.Upload || q.Method != http.MethodPut && q.Method != http.MethodPatch {
			continue
		}
		total += q.In
		query, err := url.ParseQuery(q.RawQuery)
		if d := query.Get("digest"); err == nil && q.Status == http.StatusCreated {
			committed[q.Repo+"@"+d]++
			digests[d] = true
		}
	}
	for name, n := range committed {
		if n > 1 {
			r.t.Errorf("round %d, %s: %s was sent %d times\n%s", r.n, r.scene.name, name, n, r.dst.Story())
		}
	}
	again := total
	for d := range digests {
		again -= r.sizes[d]
	}
	if r.scene.large && again > 64<<10 {
		r.t.Errorf("round %d, %s: %d bytes were sent again\n%s", r.n, r.scene.name, again, r.dst.Story())
	}
	r.again += again
	r.arrived += total
	r.twice += len(committed) - len(digests)
}

func tagsOf(t *testing.T, reg *testbed.Registry, repo string) []string {
	t.Helper()
	var b bytes.Buffer
	if resp := reg.Direct(t, http.MethodGet, "/v2/"+repo+"/tags/list", nil, nil, &b); resp.StatusCode != http.StatusOK {
		return nil
	}
	return namesIn(t, b.Bytes())
}
