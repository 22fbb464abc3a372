package beside

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/internal/testbed"
)

// ACR is a stub of Azure's API: GET /acr/v1/NAME/_tags and _manifests with n, last and a relative
// Link; GET and PATCH of the attributes of a tag; and DELETE of a tag, which it passes on to next
// as the deletion of a tag.
func (s *Shelf) ACR(next http.Handler) http.Handler {
	return s.front(next, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if s.Live {
			s.live.Lock()
			defer s.live.Unlock()
		}
		switch path := req.URL.Path; {
		case path == "/acr/v1/"+s.Repo && req.Method != http.MethodDelete:
			s.look(next)
			s.acrAttributes(w, req, "", map[string]any{"registry": req.Host, "imageName": s.Repo,
				"createdTime": Shelved, "lastUpdateTime": Shelved, "manifestCount": len(s.Rows), "tagCount": len(s.tags())})
		case !strings.HasPrefix(path, "/acr/v1/"+s.Repo+"/"):
			testbed.Refuse(w, http.StatusNotFound, "NAME_UNKNOWN", "repository name not known to registry")
		case path == "/acr/v1/"+s.Repo+"/_tags":
			s.look(next)
			s.acrTags(w, req)
		case strings.HasPrefix(path, "/acr/v1/"+s.Repo+"/_tags/") && req.Method != http.MethodDelete:
			s.look(next)
			s.acrTag(w, req, strings.TrimPrefix(path, "/acr/v1/"+s.Repo+"/_tags/"))
		case path == "/acr/v1/"+s.Repo+"/_manifests":
			s.look(next)
			s.acrManifests(w, req)
		case strings.HasPrefix(path, "/acr/v1/"+s.Repo+"/_manifests/"):
			s.look(next)
			s.acrManifest(w, req, strings.TrimPrefix(path, "/acr/v1/"+s.Repo+"/_manifests/"))
		case req.Method == http.MethodDelete && strings.HasPrefix(path, "/acr/v1/"+s.Repo+"/_tags/"):
			q := req.Clone(req.Context())
			q.URL.Path = "/v2/" + s.Repo + "/manifests/" + strings.TrimPrefix(path, "/acr/v1/"+s.Repo+"/_tags/")
			next.ServeHTTP(w, q)
		default:
			s.wrong(w, req)
		}
	}))
}

func (s *Shelf) acrTags(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	last := q.Get("last")
	n, err := strconv.Atoi(q.Get("n"))
	newest := q.Get("orderby") == "timedesc"
	if newest {
		q.Del("orderby")
	}
	if q.Del("n"); req.Method != http.MethodGet || err != nil || n > 1000 || len(q) > 1 || len(q) == 1 && last == "" {
		s.wrong(w, req)
		return
	}
	all, order := s.tags(), ""
	from := slices.IndexFunc(all, func(t tag) bool { return t.name > last })
	if newest {
		order = "&orderby=timedesc"
		slices.SortStableFunc(all, func(a, b tag) int { return b.row.updated().Compare(a.row.updated()) })
		from = slices.IndexFunc(all, func(t tag) bool { return t.name == last }) + 1
	}
	if from < 0 {
		from = len(all)
	}
	rows, next := page(s, all, from, n)
	out := []map[string]any{}
	for _, t := range rows {
		out = append(out, map[string]any{
			"name":                 t.name,
			"digest":               t.row.Digest,
			"createdTime":          Shelved.Format(time.RFC3339Nano),
			"lastUpdateTime":       t.row.updated().Format(time.RFC3339Nano),
			"signed":               false,
			"changeableAttributes": s.attributes(t.name),
		})
	}
	if next > 0 {
		link(w, fmt.Sprintf("/acr/v1/%s/_tags?last=%s&n=%d%s", s.Repo, rows[len(rows)-1].name, n, order))
	}
	testbed.Answer(w, map[string]any{"registry": req.Host, "imageName": s.Repo, "tags": out})
}

func (s *Shelf) acrManifests(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	n, err := strconv.Atoi(q.Get("n"))
	if err != nil || n > 1000 {
		s.wrong(w, req)
		return
	}
	from := slices.IndexFunc(s.Rows, func(r Row) bool { return r.Digest == q.Get("last") }) + 1
	rows, next := page(s, s.Rows, from, n)
	out := []map[string]any{}
	for _, r := range rows {
		m := map[string]any{
			"digest":         r.Digest,
			"imageSize":      r.Size,
			"createdTime":    Shelved,
			"lastUpdateTime": Shelved,
			"mediaType":      r.MediaType,
		}
		if r.OS != "" {
			m["os"], m["architecture"] = r.OS, r.Arch
		}
		if len(r.Tags) > 0 {
			m["tags"] = r.Tags[:min(len(r.Tags), 10)] // the real service also lists at most 10
		}
		out = append(out, m)
	}
	if next > 0 {
		link(w, fmt.Sprintf("/acr/v1/%s/_manifests?last=%s&n=%d", s.Repo, rows[len(rows)-1].Digest, n))
	}
	testbed.Answer(w, map[string]any{"registry": req.Host, "imageName": s.Repo, "manifests": out})
}

// acrTag answers GET and PATCH of the attributes of a tag (TagAttributes_Get and
// TagAttributes_Update, api-version 2021-07-01).
func (s *Shelf) acrTag(w http.ResponseWriter, req *http.Request, name string) {
	for _, t := range s.tags() {
		if t.name == name {
			s.acrAttributes(w, req, "tag", map[string]any{"name": name, "digest": t.row.Digest,
				"createdTime": Shelved, "lastUpdateTime": Shelved, "signed": false})
			return
		}
	}
	testbed.Refuse(w, http.StatusNotFound, "TAG_UNKNOWN", "tag not known")
}

// acrManifest answers GET and PATCH of the attributes of a manifest.
func (s *Shelf) acrManifest(w http.ResponseWriter, req *http.Request, digest string) {
	for _, r := range s.Rows {
		if r.Digest == digest {
			s.acrAttributes(w, req, "manifest", map[string]any{"digest": digest, "imageSize": r.Size,
				"createdTime": Shelved, "lastUpdateTime": Shelved, "mediaType": r.MediaType, "tags": r.Tags})
			return
		}
	}
	testbed.Refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest not known")
}

// acrAttributes answers GET and PATCH of a tag, a manifest or the repository, which is what its attributes are
// kept by. The answer is below key, or it is the whole.
func (s *Shelf) acrAttributes(w http.ResponseWriter, req *http.Request, key string, answer map[string]any) {
	of := ""
	switch key {
	case "tag":
		of = answer["name"].(string)
	case "manifest":
		of = answer["digest"].(string)
	}
	if req.Method == http.MethodPatch {
		var set map[string]bool
		if req.Header.Get("Content-Type") != "application/json" || json.NewDecoder(req.Body).Decode(&set) != nil {
			s.wrong(w, req)
			return
		}
		for attribute, enabled := range set {
			if _, known := s.attributes(of)[attribute]; !known {
				s.wrong(w, req)
				return
			}
			s.Lock(of, attribute, enabled)
		}
	}
	answer["changeableAttributes"] = s.attributes(of)
	if key != "" {
		answer = map[string]any{"registry": req.Host, "imageName": s.Repo, key: answer}
	}
	testbed.Answer(w, answer)
}

// look reads the content of next into Rows, if the shelf is Live.
func (s *Shelf) look(next http.Handler) {
	if !s.Live {
		return
	}
	ask := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		req := httptest.NewRequest(method, path, nil)
		req.Header = testbed.EveryType()
		next.ServeHTTP(w, req)
		return w
	}
	var list struct {
		Tags []string `json:"tags"`
	}
	if err := json.Unmarshal(ask(http.MethodGet, "/v2/"+s.Repo+"/tags/list").Body.Bytes(), &list); err != nil {
		s.TB.Error(err)
	}
	var rows []Row
	at := map[string]int{}
	for _, name := range list.Tags {
		h := ask(http.MethodHead, "/v2/"+s.Repo+"/manifests/"+name).Header()
		digest := h.Get("Docker-Content-Digest")
		i, seen := at[digest]
		if !seen {
			i = len(rows)
			at[digest] = i
			rows = append(rows, Row{Digest: digest, MediaType: h.Get("Content-Type")})
		}
		rows[i].Tags = append(rows[i].Tags, name)
	}
	s.Rows = rows
}

// Lock sets an attribute of one of ACR's tags, such as "writeEnabled".
func (s *Shelf) Lock(tag, attribute string, enabled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.locks == nil {
		s.locks = map[string]map[string]bool{}
	}
	if s.locks[tag] == nil {
		s.locks[tag] = map[string]bool{}
	}
	s.locks[tag][attribute] = enabled
}

// Locked returns all attributes of a tag.
func (s *Shelf) Locked(tag string) map[string]bool { return s.attributes(tag) }

func (s *Shelf) attributes(tag string) map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]bool{"deleteEnabled": true, "writeEnabled": true, "readEnabled": true, "listEnabled": true}
	maps.Copy(all, s.locks[tag])
	return all
}
