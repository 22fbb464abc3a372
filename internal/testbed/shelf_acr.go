package testbed

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
)

// Lock sets an attribute of one of ACR's tags, as "writeEnabled".
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

// Locked tells all attributes of a tag.
func (s *Shelf) Locked(tag string) map[string]bool { return s.attributes(tag) }

func (s *Shelf) attributes(tag string) map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]bool{"deleteEnabled": true, "writeEnabled": true, "readEnabled": true, "listEnabled": true}
	maps.Copy(all, s.locks[tag])
	return all
}

// acrTag answers GET and PATCH of a tag's attributes (TagAttributes_Get and
// TagAttributes_Update, api-version 2021-07-01).
func (s *Shelf) acrTag(w http.ResponseWriter, req *http.Request, name string) {
	for _, t := range s.tags() {
		if t.name != name {
			continue
		}
		if req.Method == http.MethodPatch {
			var set map[string]bool
			if req.Header.Get("Content-Type") != "application/json" || json.NewDecoder(req.Body).Decode(&set) != nil {
				s.wrong(w, req)
				return
			}
			for attribute, enabled := range set {
				if _, known := s.attributes(name)[attribute]; !known {
					s.wrong(w, req)
					return
				}
				s.Lock(name, attribute, enabled)
			}
		}
		answer(w, map[string]any{"registry": req.Host, "imageName": s.Repo, "tag": map[string]any{"name": name, "digest": t.row.Digest,
			"createdTime": Shelved, "lastUpdateTime": Shelved, "signed": false, "changeableAttributes": s.attributes(name)}})
		return
	}
	refuse(w, http.StatusNotFound, "TAG_UNKNOWN", "tag not known")
}

// look reads what next holds into Rows, if the shelf is Live.
func (s *Shelf) look(next http.Handler) {
	if !s.Live {
		return
	}
	ask := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		req := httptest.NewRequest(method, path, nil)
		req.Header = everyType()
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
