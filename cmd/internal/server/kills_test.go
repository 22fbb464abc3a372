//go:build linux && amd64

package server_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/calls"
)

// A server is killed while it does everything that it can do, by time or at one of its writes, and so is the collection
// of garbage. After each kill: what was accepted is there and in the audit log, whose chain is whole; what was deleted
// is gone; tokens work or stay revoked; uploads go on; no schedule ran twice for one time; and a backup can be restored.
func TestAServerThatIsKilledAmongAllItsWorkKeepsWhatItAccepted(t *testing.T) {
	w := newWorkshop(t)
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for i := range 2 {
		load.Go(func() { w.push(ctx, i) })
	}
	load.Go(func() { w.uploadInPieces(ctx) })
	load.Go(func() { w.submit(ctx) })
	load.Go(func() { w.makeTokens(ctx) })
	n := kills(t)
	for i := range n {
		w.killOnce(i)
		w.asItWasAccepted()
		if i%4 == 1 {
			w.collectKilled()
		}
		if i%40 == 3 {
			w.restore()
		}
		if t.Failed() {
			t.Errorf("after %d kills", i+1)
			break
		}
	}
	w.child.kill()
	w.child.start()
	time.AfterFunc(300*time.Millisecond, stop) // each sees the server once more
	load.Wait()
	w.inTheEnd()
	t.Logf("%d kills of the server: %v; %d of gc; %d pushes, %d deletions, %d jobs, %d tokens, %d uploads in pieces, %d times due; %d entries in the audit log",
		n, w.where, w.collections, w.pushes, len(w.gone), len(w.jobs), len(w.tokens), w.uploads, w.due, w.entries)
}

// workshop is a server under all kinds of load, and what it has accepted.
type workshop struct {
	t      *testing.T
	child  *child
	client *client.Client
	token  string // of an admin, as an Authorization header
	secret credential.Secret

	mu      sync.Mutex
	tags    map[string]string // name to digest
	gone    map[string]bool   // tags that were deleted
	jobs    map[string]string // target to id
	tokens  map[string]bool   // secrets, and whether they work
	pushes  int
	uploads int

	schedule    string
	due         int
	collections int          // of garbage, that were killed
	collected   atomic.Int64 // counts all collections
	entries     int
	where       map[string]int
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	source := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	for i := range 4 {
		testbed.Random(t, source, "app", fmt.Sprint("v", i), testbed.RandomOptions{Layers: 2, Size: 64 << 10, Seed: uint64(i + 1)})
	}
	data, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &workshop{t: t, child: &child{t: t, data: filepath.Join(data, "data"), listen: freeAddr(t), source: source.Host},
		tags: map[string]string{}, gone: map[string]bool{}, jobs: map[string]string{}, tokens: map[string]bool{}, where: map[string]int{}}
	w.child.start()
	t.Cleanup(func() { w.child.kill() })
	anybody, err := client.New(client.Config{URL: "http://" + w.child.listen})
	if err != nil {
		t.Fatal(err)
	}
	defer anybody.Close()
	made, err := anybody.MakeToken(t.Context(), wire.NewToken{Name: "all", Principal: "ann", Role: access.Admin})
	if err != nil {
		t.Fatal(err)
	}
	w.secret = credential.New(made.Secret)
	w.token = basic(made.Secret)
	if w.client, err = client.New(client.Config{URL: "http://" + w.child.listen, Token: w.secret}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.Close)
	s, err := w.client.PutSchedule(t.Context(), "", wire.ScheduleRequest{Name: "each", Cron: "0 0 1 1 *", Request: importing("src/app:v0", "dray", "scheduled:v0")})
	if err != nil {
		t.Fatal(err)
	}
	w.schedule = s.ID
	return w
}

func basic(secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte("ann:"+secret))
}

// ask sends a request, and returns status 0 if there is no answer.
func (w *workshop) ask(ctx context.Context, method, path string, body []byte, headers ...string) (int, http.Header) {
	if !strings.HasPrefix(path, "http") {
		path = "http://" + w.child.listen + path
	}
	req, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return 0, nil
	}
	req.Header.Set("Authorization", w.token)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, nil
	}
	return resp.StatusCode, resp.Header
}

// again does something until it reports that it is done. While the server is away it waits.
func (w *workshop) again(ctx context.Context, do func() bool) bool {
	for ctx.Err() == nil {
		if do() {
			return true
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	return false
}

func (w *workshop) note(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// push pushes images of one small layer, reads them, and deletes some.
func (w *workshop) push(ctx context.Context, who int) {
	repo := fmt.Sprint("pushed", who)
	for n := 0; ctx.Err() == nil; n++ {
		layer := []byte(fmt.Sprint("a layer of ", who, " number ", n))
		tag := fmt.Sprint("t", n)
		if !w.again(ctx, func() bool { return w.blob(ctx, repo, layer) }) {
			return
		}
		if !w.image(ctx, repo, tag, layer) {
			continue
		}
		name, at := repo+":"+tag, "/v2/"+repo+"/manifests/"+tag
		w.ask(ctx, "GET", at, nil)
		if n%5 == 0 {
			w.note(func() { delete(w.tags, name) }) // until it is known, it may be there or not
			if status, _ := w.ask(ctx, "DELETE", at, nil); status == 202 {
				w.note(func() { w.gone[name] = true })
			}
		}
	}
}

// image pushes an image of a layer that is there, and reports whether it was accepted.
func (w *workshop) image(ctx context.Context, repo, tag string, layer []byte) bool {
	if !w.again(ctx, func() bool { return w.blob(ctx, repo, []byte("{}")) }) {
		return false
	}
	m := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",`+
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":2},`+
		`"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d}]}`,
		digest.FromString("{}"), digest.FromBytes(layer), len(layer))
	status, _ := w.ask(ctx, "PUT", "/v2/"+repo+"/manifests/"+tag, m, "Content-Type", "application/vnd.oci.image.manifest.v1+json")
	if status == 201 {
		w.note(func() { w.tags[repo+":"+tag] = digest.FromBytes(m).String(); w.pushes++ })
	}
	return status == 201
}

func (w *workshop) blob(ctx context.Context, repo string, content []byte) bool {
	status, h := w.ask(ctx, "POST", "/v2/"+repo+"/blobs/uploads/", nil)
	if status != 202 {
		return false
	}
	status, _ = w.ask(ctx, "PUT", h.Get("Location")+"&digest="+digest.FromBytes(content).String(), content)
	return status == 201
}

// uploadInPieces sends blobs in pieces, and goes on where the server says that it is.
func (w *workshop) uploadInPieces(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		content := bytes.Repeat([]byte(fmt.Sprintf("%08d", n)), 64<<10) // 512 KiB
		const piece = 64 << 10
		at, sent, whole := "", 0, false // whole: all may have arrived
		begin := func() bool {
			status, h := w.ask(ctx, "POST", "/v2/pieces/blobs/uploads/", nil)
			at, sent = h.Get("Location"), 0
			return status == 202
		}
		w.again(ctx, begin)
		collected := w.collected.Load()
		done := w.again(ctx, func() bool {
			status, h := w.ask(ctx, "GET", at, nil)
			if status != 204 {
				if now := w.collected.Load(); now != collected { // which takes uploads, too
					collected = now
					return w.again(ctx, begin) && false
				}
				if there, _ := w.ask(ctx, "HEAD", "/v2/pieces/blobs/"+digest.FromBytes(content).String(), nil); there == 200 {
					return true // the answer to the last request was lost
				}
				if status != 0 && status != 503 && ctx.Err() == nil {
					w.t.Errorf("an upload of which %d bytes were accepted is lost: %d", sent, status)
				}
				return false
			}
			has := 0
			if r := h.Get("Range"); r != "" && r != "0-0" {
				fmt.Sscanf(r, "0-%d", &has)
				has++
			}
			// An upload of which all had arrived may be a blob by now, although no repository has it yet.
			if whole && has == 0 {
				sent = 0
			}
			if has < sent && w.collected.Load() == collected {
				w.t.Errorf("the server accepted %d bytes of an upload and has %d", sent, has)
			}
			at = h.Get("Location")
			for has < len(content) {
				end := min(has+piece, len(content))
				whole = whole || end == len(content)
				status, h := w.ask(ctx, "PATCH", at, content[has:end], "Content-Range", fmt.Sprintf("%d-%d", has, end-1))
				if status != 202 {
					return false
				}
				at, has, sent = h.Get("Location"), end, end
			}
			status, _ = w.ask(ctx, "PUT", at+"&digest="+digest.FromBytes(content).String(), nil)
			if there, _ := w.ask(ctx, "HEAD", "/v2/pieces/blobs/"+digest.FromBytes(content).String(), nil); there == 200 {
				status = 201 // the answer was lost
			}
			return status == 201
		})
		if done && w.image(ctx, "pieces", fmt.Sprint("t", n), content) {
			w.note(func() { w.uploads++ })
		}
	}
}

// submit submits imports, each with a key of its own.
func (w *workshop) submit(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		target := fmt.Sprintf("jobs:n%d", n)
		w.again(ctx, func() bool {
			j, err := w.client.Submit(ctx, importing(fmt.Sprint("src/app:v", n%4), "dray", target), client.How{Key: target})
			if err == nil {
				w.note(func() { w.jobs[target] = j.ID })
			}
			return err == nil
		})
		select {
		case <-ctx.Done():
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// makeTokens makes tokens and revokes some.
func (w *workshop) makeTokens(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		var made wire.MadeToken
		if !w.again(ctx, func() (ok bool) {
			var err error
			made, err = w.client.MakeToken(ctx, wire.NewToken{Name: strconv.Itoa(n), Principal: "bob", Role: access.Reader})
			return err == nil
		}) {
			return
		}
		if n%3 != 0 {
			w.note(func() { w.tokens[made.Secret] = true })
		} else if w.again(ctx, func() bool { return w.client.RevokeToken(ctx, made.ID) == nil }) {
			w.note(func() { w.tokens[made.Secret] = false })
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// killOnce kills the server by time, or at a write to its data directory.
func (w *workshop) killOnce(i int) {
	w.t.Helper()
	if i%2 == 0 {
		time.Sleep(time.Duration(100+rand.IntN(500)) * time.Millisecond) // kill at a random moment
		w.child.kill()
		w.where["by time"]++
		return
	}
	w.child.kill() // and once more, traced
	when := []calls.Moment{calls.Before, calls.Within, calls.After}[rand.IntN(3)]
	at := 1 + rand.IntN(400)
	reached := make(chan string, 1)
	w.child.startTraced(func(c calls.Call) calls.Act {
		if c.N == at {
			reached <- c.Name
			return calls.Act{Kill: when}
		}
		return calls.Act{}
	})
	select {
	case name := <-reached:
		w.where[string(when)+" "+name]++
	case <-time.After(2 * time.Second):
		w.where["by time"]++
	}
	w.child.kill()
}

// asItWasAccepted looks at the files of the server that was killed, starts it, and asks it.
func (w *workshop) asItWasAccepted() {
	w.t.Helper()
	if _, err := os.Stat(filepath.Join(w.child.data, "has-tokens")); err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.auditIsWhole(w.child.data)
	w.makeDue()
	w.child.start()
	w.answers(w.child.listen)
}

// auditIsWhole checks the chain of the audit log in data, and that it has each change that was accepted. The server
// writes nothing meanwhile.
func (w *workshop) auditIsWhole(data string) {
	w.t.Helper()
	db, err := store.Open(w.t.Context(), "sqlite:"+filepath.Join(data, "dray.db"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	vault, err := access.OpenVault(w.t.Context(), access.KeySource{File: filepath.Join(data, "key")})
	if err != nil {
		w.t.Fatal(err)
	}
	a, err := access.Open(w.t.Context(), access.Config{DB: db, Vault: vault})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := a.Verify(w.t.Context()); err != nil {
		w.t.Error(err)
	}
	in := map[string]bool{}
	w.entries = 0
	for after, more := int64(0), true; more; {
		all, err := a.Entries(w.t.Context(), after, 500)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range all {
			_, name, _ := strings.Cut(e.Target, "/")
			in[e.Verb+" "+name+" "+e.New] = true
			after = e.Seq
		}
		w.entries += len(all)
		more = len(all) > 0
	}
	for name, d := range w.tags {
		if !in["push "+name+" "+d] {
			w.t.Errorf("the audit log does not have the push of %s", name)
		}
	}
	for name := range w.gone {
		if !in["delete "+name+" "] {
			w.t.Errorf("the audit log does not have the deletion of %s", name)
		}
	}
}

// makeDue makes the schedule due once.
func (w *workshop) makeDue() {
	w.t.Helper()
	db, err := store.Open(w.t.Context(), "sqlite:"+filepath.Join(w.child.data, "dray.db"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(w.t.Context(), `UPDATE schedules SET next_due = $1`, store.Micros(time.Now())); err != nil {
		w.t.Fatal(err)
	}
	w.due++
}

// answers asks a server for what was accepted.
func (w *workshop) answers(addr string) {
	w.t.Helper()
	base := "http://" + addr
	if status, _ := w.ask(w.t.Context(), "GET", base+"/api/v1/jobs", nil, "Authorization", ""); status != 401 {
		w.t.Errorf("a stranger gets %d", status)
	}
	tagsAreWhole(w.t, addr, w.token)
	few := func(i *int) bool { *i++; return *i < 50 } // maps come in another order each time
	i := 0
	for name, d := range w.tags {
		if !few(&i) {
			break
		}
		at := base + "/v2/" + strings.Replace(name, ":", "/manifests/", 1)
		if status, h := w.ask(w.t.Context(), "HEAD", at, nil); status != 200 || h.Get("Docker-Content-Digest") != d {
			w.t.Errorf("%s was accepted: %d %v", name, status, h)
		}
	}
	i = 0
	for name := range w.gone {
		if !few(&i) {
			break
		}
		if status, _ := w.ask(w.t.Context(), "HEAD", base+"/v2/"+strings.Replace(name, ":", "/manifests/", 1), nil); status != 404 {
			w.t.Errorf("%s was deleted: %d", name, status)
		}
	}
	i = 0
	for secret, works := range w.tokens {
		if !few(&i) {
			break
		}
		if status, _ := w.ask(w.t.Context(), "GET", base+"/v2/", nil, "Authorization", basic(secret)); (status == 200) != works {
			w.t.Errorf("a token, works %v: %d", works, status)
		}
	}
}

// collectKilled kills a collection of garbage at one of its changes, and then lets one come to its end.
func (w *workshop) collectKilled() {
	w.t.Helper()
	w.child.kill()
	w.collected.Add(1)
	at, when := 1+rand.IntN(60), []calls.Moment{calls.Before, calls.After}[rand.IntN(2)]
	p := calls.Start(w.t, calls.Command{Args: []string{os.Args[0]}, Env: append(os.Environ(), childCollect+"="+w.child.data), Below: []string{w.child.data},
		On: func(c calls.Call) calls.Act {
			if c.N == at {
				return calls.Act{Kill: when}
			}
			return calls.Act{}
		}})
	if _, killed := p.Wait(w.t); killed {
		w.collections++
	}
	w.child.start()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers(w.child.listen)
}

// restore makes a backup beside the server that was killed and started again, restores it, and asks a server that runs
// with it.
func (w *workshop) restore() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	to := filepath.Join(w.t.TempDir(), "backup")
	if _, err := server.Backup(w.t.Context(), server.Config{Data: w.child.data}, to); err != nil {
		w.t.Fatal(err)
	}
	data := filepath.Join(w.t.TempDir(), "restored")
	if _, err := server.Restore(w.t.Context(), server.Config{Data: data}, to); err != nil {
		w.t.Fatal(err)
	}
	entries := w.entries
	w.auditIsWhole(data)
	w.entries = entries
	other := &child{t: w.t, data: data, listen: freeAddr(w.t), source: w.child.source}
	other.start()
	defer other.kill()
	w.answers(other.listen)
}

// inTheEnd checks what needs time: the jobs, and what is left on the disk.
func (w *workshop) inTheEnd() {
	w.t.Helper()
	states := ended(w.t, w.client)
	for target, id := range w.jobs {
		if states[id] != job.Done {
			j, err := w.client.Job(w.t.Context(), id)
			w.t.Errorf("%s %s: %q %+v %v", target, id, states[id], j, err)
		}
	}
	jobs, _, err := w.client.Jobs(w.t.Context(), job.Filter{Schedule: w.schedule, Limit: 500})
	if err != nil || len(jobs) > w.due || len(jobs) == 0 && !w.t.Failed() {
		w.t.Errorf("a schedule was due %d times, and ran %d times: %v", w.due, len(jobs), err)
	}
	w.child.kill()
	w.auditIsWhole(w.child.data)
	if _, err := server.Collect(w.t.Context(), server.Config{Data: w.child.data}, registry.CollectOptions{}); err != nil {
		w.t.Error(err)
	}
	err = filepath.WalkDir(w.child.data, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".tmp") {
			w.t.Errorf("a temporary file stays: %s", path)
		}
		return err
	})
	if err != nil {
		w.t.Error(err)
	}
}
