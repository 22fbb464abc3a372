package world

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/internal/testbed"
)

// diary stands directly before a registry, behind the faults and the login, so that it knows what the registry really
// got and accepted. It checks each write at the moment when it arrives.
type diary struct {
	next http.Handler
	with func(repo, tag string) []attached // what must be there before the tag is

	mu      sync.Mutex
	running bool
	broken  string                       // the first promise that was broken, or ""
	ahead   string                       // a tag of this run that was set before what refers to its image was there, or ""
	raw     map[string]map[string][]byte // by repository and digest: the manifests that were accepted
	blobs   map[string][]digest.Digest   // by repository: the blobs that were accepted
}

func newDiary(next http.Handler) *diary {
	return &diary{next: next, raw: map[string]map[string][]byte{}, blobs: map[string][]digest.Digest{}}
}

func (d *diary) begin(with func(repo, tag string) []attached) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running, d.with = true, with
}

func (d *diary) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	running := d.running
	d.mu.Unlock()
	if !running || r.Method == http.MethodGet || r.Method == http.MethodHead {
		d.next.ServeHTTP(w, r)
		return
	}
	e := testbed.Parse(r.URL.Path)
	var raw []byte
	wrong, ahead := "", ""
	if e.Kind == testbed.Manifest && r.Method == http.MethodPut {
		raw, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(raw))
		wrong, ahead = d.early(e, raw), d.unsigned(e)
	}
	a := httptest.NewRecorder()
	d.next.ServeHTTP(a, r)
	d.note(e, r, raw, a, wrong)
	if a.Code == http.StatusCreated {
		d.mu.Lock()
		d.ahead = cmp.Or(d.ahead, ahead)
		d.mu.Unlock()
	}
	maps.Copy(w.Header(), a.Header())
	w.WriteHeader(a.Code)
	_, _ = w.Write(a.Body.Bytes())
}

// early returns what the registry lacks of a document that is to be stored, or "".
func (d *diary) early(e testbed.Endpoint, raw []byte) string {
	var s shape
	if err := json.Unmarshal(raw, &s); err != nil {
		return "it is not JSON"
	}
	if strings.Contains(e.Ref, ":") && digest.FromBytes(raw).String() != e.Ref {
		return "it has another digest"
	}
	if lacks := lacking(d.next, e.Repo, s); lacks != "" {
		return "the registry does not have " + lacks
	}
	return ""
}

// unsigned returns what should be at the registry before a tag is set, since it refers to the image, and is not; or "".
func (d *diary) unsigned(e testbed.Endpoint) string {
	for _, a := range d.with(e.Repo, e.Ref) {
		if _, _, ok := read(d.next, e.Repo, a.Digest.String()); !ok {
			return fmt.Sprintf("%s is set before %s, which refers to %s", e.Ref, a.Digest, a.to.Digest)
		}
	}
	return ""
}

// note records what the registry accepted, and what it should not have been sent.
func (d *diary) note(e testbed.Endpoint, r *http.Request, raw []byte, a *httptest.ResponseRecorder, wrong string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	what := fmt.Sprintf("%s %s?%s", r.Method, r.URL.Path, r.URL.RawQuery)
	put := a.Code == http.StatusCreated
	switch {
	case d.broken != "":
	case put && wrong != "":
		d.broken = what + " came too early: " + wrong
	case r.Method == http.MethodDelete && e.Kind != testbed.Upload:
		d.broken = what + " removes something"
	case strings.Contains(a.Body.String(), "DIGEST_INVALID"):
		d.broken = what + " ends an upload whose bytes do not have that digest"
	}
	if !put {
		return
	}
	if e.Kind == testbed.Manifest {
		if d.raw[e.Repo] == nil {
			d.raw[e.Repo] = map[string][]byte{}
		}
		d.raw[e.Repo][digest.FromBytes(raw).String()] = raw
		return
	}
	for _, key := range []string{"digest", "mount"} {
		if b := r.URL.Query().Get(key); b != "" {
			d.blobs[e.Repo] = append(d.blobs[e.Repo], digest.Digest(b))
		}
	}
}

// turn returns what is ahead, and begins another run.
func (d *diary) turn() (ahead string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ahead, d.ahead = d.ahead, ""
	return ahead
}

// wrong returns the first promise that was broken, or accepted content that does not have its digest.
func (d *diary) wrong() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken != "" {
		return d.broken
	}
	for repo, blobs := range d.blobs {
		for _, b := range blobs {
			a := ask(d.next, http.MethodGet, "/v2/"+repo+"/blobs/"+b.String())
			if a.Code != http.StatusOK || digest.FromBytes(a.Body.Bytes()) != b {
				return fmt.Sprintf("%s has %d and %d bytes for blob %s", repo, a.Code, a.Body.Len(), b)
			}
		}
	}
	for repo, docs := range d.raw {
		for name := range docs {
			if _, raw, ok := read(d.next, repo, name); !ok || digest.FromBytes(raw).String() != name {
				return fmt.Sprintf("%s has something else as %s", repo, name)
			}
		}
	}
	clear(d.blobs)
	return ""
}
