package world

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/drayage/dray/internal/testbed"
)

// proofs are what one process has learned about a target: by an answer of the target to a question, a mount or a write.
type proofs struct {
	has map[string]bool // repository and digest, of documents and blobs
}

func newProofs() *proofs { return &proofs{map[string]bool{}} }

// learn goes through the requests of a run to the target, in the order of their arrival. It returns the first document
// that was put before everything below it was proven, or "".
func (p *proofs) learn(d *diary, log []testbed.Request) string {
	for _, q := range log {
		reads := q.Method == http.MethodGet || q.Method == http.MethodHead
		name := q.Ref
		if got := q.Answer.Get("Docker-Content-Digest"); got != "" && q.Kind == testbed.Manifest {
			name = got
		}
		if q.Kind == testbed.Manifest && q.Method == http.MethodPut {
			if lacks := p.unproven(d, q.Repo, name); lacks != "" {
				return fmt.Sprintf("%s was put in %s before %s was proven there", q.Ref, q.Repo, lacks)
			}
		}
		switch {
		case q.Status < http.StatusOK || q.Status > http.StatusPartialContent:
		case q.Kind == testbed.Manifest && reads, q.Kind == testbed.Manifest && q.Status == http.StatusCreated:
			p.trust(d, q.Repo, name)
		case q.Kind == testbed.Blob && reads:
			p.has[q.Repo+"@"+q.Ref] = true
		case q.Kind == testbed.Upload && q.Status == http.StatusCreated:
			values, _ := url.ParseQuery(q.RawQuery)
			p.has[q.Repo+"@"+values.Get("digest")+values.Get("mount")] = true
		}
	}
	return ""
}

// unproven returns what is directly below a document and is not proven, or "". A document that was not accepted is not
// looked at.
func (p *proofs) unproven(d *diary, repo, name string) string {
	var s shape
	d.mu.Lock()
	raw := d.raw[repo][name]
	d.mu.Unlock()
	if p.has[repo+"@"+name] || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	for _, b := range s.needs() {
		if !p.has[repo+"@"+b.String()] {
			return b.String()
		}
	}
	for _, m := range s.Manifests {
		if !p.has[repo+"@"+m.Digest.String()] {
			return m.Digest.String()
		}
	}
	return ""
}

// trust notes that the target has a document, which is proof of all below it.
func (p *proofs) trust(d *diary, repo, name string) {
	s, _, ok := read(d.next, repo, name)
	if !ok {
		return
	}
	p.has[repo+"@"+name] = true
	for _, b := range s.needs() {
		p.has[repo+"@"+b.String()] = true
	}
	for _, m := range s.Manifests {
		p.trust(d, repo, m.Digest.String())
	}
}
