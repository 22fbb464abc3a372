package registry_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/internal/registry/backing"
	"github.com/drayage/dray/internal/testbed/disk"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// files lists the files of the registry whose path contains part. The registry may remove some at the same time.
func (p *place) files(part string) (all []string) {
	p.t.Helper()
	err := filepath.WalkDir(p.o.Dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !d.IsDir() && strings.Contains(filepath.ToSlash(path), part) {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

// full checks that an answer says that there is no space, and does not say where.
func (r *reply) full(dir string) {
	r.t.Helper()
	r.want(http.StatusInsufficientStorage)
	if !bytes.Contains(r.body, []byte(`"code":"DENIED"`)) || bytes.Contains(r.body, []byte(dir)) {
		r.t.Errorf("%s: %s", r.what, r.body)
	}
}

func TestADiskThatBecomesFullRefusesPushesAndTakesThemAgain(t *testing.T) {
	dir := disk.Mount(t, 16<<20)
	p := start(t, registry.Options{Dir: filepath.Join(dir, "data"), Storage: registry.Storage{Free: -1}})
	layer := p.blob("app", noise(1<<20))
	m := p.image("app", "one")
	kept, r := p.put("app", "v1", m.MediaType, m)
	r.want(201)

	// A body that does not fit, in each of the ways in which a blob can be sent.
	big := noise(20 << 20)
	at := p.do("POST", "/v2/app/blobs/uploads/", nil).want(202).Header.Get("Location")
	p.do("PATCH", at, big).full(dir)
	at = p.do("POST", "/v2/app/blobs/uploads/", nil).want(202).Header.Get("Location")
	p.do("PUT", at+"&digest="+digest.FromBytes(big).String(), big).full(dir)
	if left := p.files("/_uploads/"); len(left) > 0 {
		t.Errorf("half of an upload stays: %v", left)
	}
	if s := p.reg.State(); s.Uploads != 0 || s.RefusedFull != 2 {
		t.Errorf("%+v", s)
	}

	empty := disk.Fill(t, dir, 0)
	p.do("POST", "/v2/app/blobs/uploads/", nil).full(dir)
	another := m
	another.Annotations = map[string]string{"of": "another image"}
	_, r = p.put("app", "v2", m.MediaType, another)
	r.full(dir)
	p.do("GET", "/v2/app/manifests/v1", nil).want(200)
	p.do("GET", "/v2/app/blobs/"+layer.Digest.String(), nil).want(200)
	if got := p.do("GET", "/v2/app/tags/list", nil).want(200); !bytes.Contains(got.body, []byte(`["v1"]`)) {
		t.Errorf("%s", got.body)
	}

	empty()
	_, r = p.put("app", "v2", m.MediaType, m)
	r.want(201)
	p.blob("app", noise(2<<20))
	p.there("app", "manifests", kept)
}

func TestSpaceThatMustStayFreeIsNotForPushes(t *testing.T) {
	dir := disk.Mount(t, 32<<20)
	p := start(t, registry.Options{Dir: filepath.Join(dir, "data"), Storage: registry.Storage{Free: 16 << 20}})
	layer := p.blob("app", noise(1<<20))
	m := p.image("app", "one")
	manifest, r := p.put("app", "v1", m.MediaType, m)
	r.want(201)

	// A body whose length is known is refused before it comes, and one whose length is not known when it is too long.
	at := p.do("POST", "/v2/app/blobs/uploads/", nil).want(202).Header.Get("Location")
	p.do("PATCH", at, noise(24<<20)).full(dir)
	at = p.do("POST", "/v2/app/blobs/uploads/", nil).want(202).Header.Get("Location")
	req, err := http.NewRequestWithContext(t.Context(), "PATCH", p.srv.URL+at, io.MultiReader(bytes.NewReader(noise(28<<20))))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := p.srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusInsufficientStorage || len(p.files("/_uploads/")) > 0 {
		t.Errorf("%s, and there are %v", resp.Status, p.files("/_uploads/"))
	}

	empty := disk.Fill(t, dir, 4<<20)
	p.do("POST", "/v2/app/blobs/uploads/", nil).full(dir)
	_, r = p.put("app", "v2", m.MediaType, m)
	r.full(dir)
	p.do("POST", "/v2/other/blobs/uploads/?from=app&mount="+layer.Digest.String(), nil).want(201)
	p.do("POST", "/v2/other/blobs/uploads/?from=app&mount="+digest.FromString("other").String(), nil).full(dir)
	p.there("other", "blobs", layer)
	p.do("DELETE", "/v2/app/manifests/"+manifest.Digest.String(), nil).want(202)

	s, err := p.reg.Store(ref.Repo{Host: "here.example", Path: "app"})
	if err != nil {
		t.Fatal(err)
	}
	content := []byte("imported")
	d := oci.Descriptor{Digest: digest.FromBytes(content), Size: int64(len(content))}
	_, err = s.Put(t.Context(), d, nil, nil)
	if !fault.Is(err, fault.Full) || strings.Contains(err.Error(), dir) || fault.HintOf(err) == "" {
		t.Errorf("an import: %v", err)
	}
	if st := p.reg.State(); !st.Known || st.Stays != 16<<20 || st.Room.Free > 8<<20 || st.RefusedFull < 4 {
		t.Errorf("%+v", st)
	}
	empty()
	p.blob("app", content)
}

func TestByDefaultTheSmallerOfAGibibyteAndFivePercentStaysFree(t *testing.T) {
	dir := disk.Mount(t, 20<<20)
	for free, want := range map[int64]int64{0: 1 << 20, -1: 0, 3 << 20: 3 << 20} {
		if room, stays, ok := (backing.Storage{Free: free}).RoomAt(filepath.Join(dir, "not", "there", "yet")); !ok || stays != want || room.Total != 20<<20 {
			t.Errorf("%d: %d of %v", free, stays, room)
		}
	}
	if _, _, ok := (backing.Storage{Driver: "s3"}).RoomAt(dir); ok {
		t.Error("an object store has a size")
	}
}

// An upload that goes on is kept, whenever it was begun.
func TestUploadsEndADayAfterTheirLastByte(t *testing.T) {
	p := start(t, registry.Options{})
	begin := func() string {
		at := p.do("POST", "/v2/app/blobs/uploads/", nil).want(202)
		p.do("PATCH", at.Header.Get("Location"), noise(100)).want(202)
		return at.Header.Get("Docker-Upload-UUID")
	}
	old, young := begin(), begin()
	for _, id := range []string{old, young} {
		for _, file := range p.files(id) {
			if id == old || filepath.Base(file) != "data" {
				age(t, file, 25*time.Hour)
			}
		}
	}
	sum := p.collect(registry.CollectOptions{DryRun: true, Keep: time.Hour})
	if sum.Removed.Uploads+sum.Kept.Uploads != 2 && sum.Kept.Uploads != 1 { // the start may have removed one
		t.Errorf("%+v", sum)
	}
	p.eventually(func() bool { return len(p.files(old)) == 0 && p.reg.State().Uploads == 1 })
	if len(p.files(young)) == 0 {
		t.Error("an upload that goes on was removed")
	}
	if s := p.reg.State(); s.UploadBytes != 100 {
		t.Errorf("%+v", s)
	}
}

func TestCleanUpRemovesUnfinishedUploads(t *testing.T) {
	p := start(t, registry.Options{})
	p.do("PATCH", p.do("POST", "/v2/app/blobs/uploads/", nil).want(202).Header.Get("Location"), noise(1000)).want(202)
	p.close()
	for _, file := range p.files("/_uploads/") {
		age(t, file, 25*time.Hour)
	}
	for _, dry := range []bool{true, false} {
		sum, err := registry.Collect(t.Context(), p.o.Dir, registry.CollectOptions{DryRun: dry})
		if err != nil || sum.Removed.Uploads != 1 || sum.Removed.UploadBytes != 1000 || sum.Kept.Uploads != 0 {
			t.Errorf("%+v %v", sum, err)
		}
		if left := len(p.files("/_uploads/")) > 0; left != dry {
			t.Errorf("dry run %v: %v", dry, p.files("/_uploads/"))
		}
	}
	p.open()
	p.do("PATCH", p.do("POST", "/v2/app/blobs/uploads/", nil).want(202).Header.Get("Location"), noise(1000)).want(202)
	if sum := p.collect(registry.CollectOptions{Keep: time.Hour}); sum.Kept.Uploads != 1 || sum.Kept.UploadBytes != 1000 || sum.Removed.Uploads != 0 {
		t.Errorf("a new upload: %+v", sum)
	}
	if sum := p.collect(registry.CollectOptions{Keep: -1}); sum.Removed.Uploads != 1 {
		t.Errorf("without protection: %+v", sum)
	}
}

func age(t *testing.T, file string, by time.Duration) {
	t.Helper()
	then := time.Now().Add(-by)
	if err := os.Chtimes(file, then, then); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until the registry has looked through its storage, which it does at the start.
func (p *place) eventually(done func() bool) {
	p.t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("still %v, %+v", p.files("/_uploads/"), p.reg.State())
		}
	}
}

// as sends a request as a principal.
func (p *place) as(principal, method, path string, body []byte) *reply {
	p.t.Helper()
	srv := httptest.NewServer(p.reg.As(principal))
	defer srv.Close()
	return p.do(method, srv.URL+path, body)
}

func TestAPrincipalWithTooManyUnfinishedUploadsHarmsNoOther(t *testing.T) {
	const post = "/v2/app/blobs/uploads/"
	p := start(t, registry.Options{Unfinished: registry.Unfinished{Uploads: 2, Bytes: 5000}})
	tooMany := func(r *reply) {
		t.Helper()
		r.want(http.StatusTooManyRequests)
		if !bytes.Contains(r.body, []byte("TOOMANYREQUESTS")) || !bytes.Contains(r.body, []byte("ann has ")) || r.Header.Get("Retry-After") == "" {
			t.Errorf("%s %v", r.body, r.Header)
		}
	}
	one := p.as("ann", "POST", post, nil).want(202).Header.Get("Location")
	two := p.as("ann", "POST", post, nil).want(202).Header.Get("Location")
	tooMany(p.as("ann", "POST", post, nil))
	p.as("bob", "POST", post, nil).want(202)
	p.do("POST", post, nil).want(202)

	// A blob that is too large alone gets another answer, because it is of no use to wait.
	one = p.as("ann", "PATCH", one, noise(3000)).want(202).Header.Get("Location")
	p.as("ann", "PATCH", one, noise(3000)).full(p.o.Dir)
	tooMany(p.as("ann", "PATCH", two, noise(3000)))
	two = p.as("ann", "PATCH", two, noise(1000)).want(202).Header.Get("Location")
	if s := p.reg.State(); s.Uploads != 4 || s.UploadBytes != 4000 || s.RefusedUploads != 3 {
		t.Errorf("%+v", s)
	}

	p.reopen() // who has begun them is known to the next process, too
	p.eventually(func() bool { return p.reg.State().Uploads == 4 })
	tooMany(p.as("ann", "POST", post, nil))
	p.as("ann", "DELETE", two, nil).want(204)
	p.as("ann", "POST", post, nil).want(202)
	tooMany(p.as("ann", "POST", post, nil))
	p.as("ann", "PUT", one+"&digest="+digest.FromBytes(noise(3000)).String(), nil).want(201)
	p.as("ann", "POST", post, nil).want(202)
}

// A body without a length is stopped in its middle.
func TestABodyThatIsTooLongForItsPrincipalIsStopped(t *testing.T) {
	p := start(t, registry.Options{Unfinished: registry.Unfinished{Bytes: 10 << 20}})
	srv := httptest.NewServer(p.reg.As("ann"))
	defer srv.Close()
	at := p.as("ann", "POST", "/v2/app/blobs/uploads/", nil).want(202).Header.Get("Location")
	req, err := http.NewRequestWithContext(t.Context(), "PATCH", srv.URL+at, io.MultiReader(bytes.NewReader(noise(40<<20))))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusInsufficientStorage {
		t.Error(resp.Status)
	}
	if s := p.reg.State(); s.RefusedUploads != 1 || s.UploadBytes > 20<<20 {
		t.Errorf("%+v", s)
	}
}

// kill -9 between the directory of a tag and its link leaves such a tag.
func TestATagThatWasNeverSetIsNotListedAndGoes(t *testing.T) {
	p := start(t, registry.Options{})
	m := p.image("app", "one")
	_, r := p.put("app", "v1", m.MediaType, m)
	r.want(201)
	tags := filepath.Join(p.o.Dir, "storage/docker/registry/v2/repositories/app/_manifests/tags")
	ghosts := func() (n int) {
		for _, name := range []string{"ghost", "a-ghost", "z-ghost"} {
			if _, err := os.Stat(filepath.Join(tags, name)); err == nil {
				n++
			}
		}
		return n
	}
	haunt := func() {
		for name, below := range map[string]string{"ghost": "current", "a-ghost": "index/sha256", "z-ghost": ""} {
			if err := os.MkdirAll(filepath.Join(tags, name, below), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(tags, "ghost/current/link.x.tmp"), []byte("sha256:"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	haunt()
	for _, query := range []string{"", "?n=1", "?n=5&last=a"} {
		if got := p.do("GET", "/v2/app/tags/list"+query, nil).want(200); !bytes.Contains(got.body, []byte(`["v1"]`)) {
			t.Errorf("%s: %s", query, got.body)
		}
	}
	p.close()
	sum, err := registry.Collect(t.Context(), p.o.Dir, registry.CollectOptions{DryRun: true})
	if err != nil || sum.Removed.Tags != 3 || ghosts() != 3 {
		t.Errorf("dry run: %+v %v", sum, err)
	}
	if sum, err = registry.Collect(t.Context(), p.o.Dir, registry.CollectOptions{}); err != nil || sum.Removed.Tags != 3 || ghosts() != 0 {
		t.Errorf("%+v %v", sum, err)
	}
	haunt()
	part := filepath.Join(p.o.Dir, "storage/docker/registry/v2/blobs/sha256/00/data.x.tmp") // of a write that was killed
	if err := errors.Join(os.MkdirAll(filepath.Dir(part), 0o700), os.WriteFile(part, []byte("{"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err = registry.Collect(t.Context(), p.o.Dir, registry.CollectOptions{}); err != nil || len(p.files(".tmp")) > 0 {
		t.Errorf("%v stay: %v", p.files(".tmp"), err)
	}
	haunt()
	p.open()
	p.eventually(func() bool { return ghosts() == 0 })
	p.do("GET", "/v2/app/manifests/v1", nil).want(200)
}
