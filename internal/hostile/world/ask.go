package world

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/internal/testbed"
)

// ask sends a request to a registry behind its faults, its login and its log.
func ask(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, nil)
	r.Header = testbed.EveryType()
	h.ServeHTTP(w, r)
	return w
}

// shape is what a document says that it needs.
type shape struct {
	MediaType string          `json:"mediaType"`
	Config    *v1.Descriptor  `json:"config"`
	Layers    []v1.Descriptor `json:"layers"`
	Manifests []v1.Descriptor `json:"manifests"`
	Subject   *v1.Descriptor  `json:"subject"`
}

// read returns a document of a registry.
func read(h http.Handler, repo, reference string) (s shape, raw []byte, ok bool) {
	a := ask(h, http.MethodGet, "/v2/"+repo+"/manifests/"+reference)
	if a.Code != http.StatusOK {
		return shape{}, nil, false
	}
	raw = a.Body.Bytes()
	return s, raw, json.Unmarshal(raw, &s) == nil
}

// needs lists the blobs of a document.
func (s shape) needs() []digest.Digest {
	var all []digest.Digest
	if s.Config != nil {
		all = append(all, s.Config.Digest)
	}
	for _, l := range s.Layers {
		all = append(all, l.Digest)
	}
	return all
}

// lacking returns what the repository does not have of a document, or "".
func lacking(h http.Handler, repo string, s shape) string {
	for _, b := range s.needs() {
		if ask(h, http.MethodHead, "/v2/"+repo+"/blobs/"+b.String()).Code != http.StatusOK {
			return "blob " + b.String()
		}
	}
	for _, m := range s.Manifests {
		child, _, ok := read(h, repo, m.Digest.String())
		if !ok {
			return "manifest " + m.Digest.String()
		}
		if lacks := lacking(h, repo, child); lacks != "" {
			return lacks
		}
	}
	return ""
}

// names lists the names "repository:tag" of a registry with their digests.
func names(h http.Handler) map[string]digest.Digest {
	all := map[string]digest.Digest{}
	var catalog struct{ Repositories []string }
	_ = json.Unmarshal(ask(h, http.MethodGet, "/v2/_catalog?n=1000").Body.Bytes(), &catalog)
	for _, repo := range catalog.Repositories {
		var list struct{ Tags []string }
		a := ask(h, http.MethodGet, "/v2/"+repo+"/tags/list?n=1000")
		if a.Code != http.StatusOK {
			continue // an interrupted run sent blobs there and no manifest
		}
		_ = json.Unmarshal(a.Body.Bytes(), &list)
		for _, tag := range list.Tags {
			_, raw, _ := read(h, repo, tag)
			all[repo+":"+tag] = digest.FromBytes(raw)
		}
	}
	return all
}

// listed returns what a registry lists as referrers of a document: by the referrers API or, without it, under the
// referrers tag.
func listed(h http.Handler, repo string, subject digest.Digest) []v1.Descriptor {
	var list v1.Index
	a := ask(h, http.MethodGet, "/v2/"+repo+"/referrers/"+subject.String())
	if a.Code != http.StatusOK {
		a = ask(h, http.MethodGet, "/v2/"+repo+"/manifests/"+fallback(subject))
	}
	if a.Code != http.StatusOK {
		return nil
	}
	_ = json.Unmarshal(a.Body.Bytes(), &list)
	return list.Manifests
}

// fallback is the referrers tag of a document (distribution-spec v1.1.1 §Referrers Tag Schema).
func fallback(subject digest.Digest) string { return strings.Replace(subject.String(), ":", "-", 1) }
