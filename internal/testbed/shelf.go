package testbed

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Shelf is what one repository holds, as the lists tell it that registries have
// beside the distribution API. Each of its methods is a stub of one such API,
// by its documents: it takes the paths, queries and headers that are named
// there, fails the test at any other, and passes the rest to next.
type Shelf struct {
	Repo  string
	Rows  []Row
	Login string // "user:password" that Harbor wants, the token that GitHub wants; "" is none
	Owner string // of a GitHub package: "orgs" or "users"
	Page  int    // rows of a page, where the request asks for more; 0 is what it asks for
	Each  func(w http.ResponseWriter, req *http.Request) (answered bool)
	TB    testing.TB

	Live bool // ACR tells what next holds, and not Rows

	live  sync.Mutex // of requests that look at next
	mu    sync.Mutex
	locks map[string]map[string]bool // of ACR's tags: the attributes that were set
}

// Row is one manifest. Times are Shelved.
type Row struct {
	Digest, MediaType, OS, Arch string
	Tags                        []string
	Size                        int64
	Updated                     time.Time // of the tags, for ACR; zero is Shelved
}

func (r Row) updated() time.Time {
	if r.Updated.IsZero() {
		return Shelved
	}
	return r.Updated
}

// Shelved is when everything on a Shelf was pushed.
var Shelved = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// tag is one tag of a shelf.
type tag struct {
	name string
	row  Row
}

// tags come in the order of their names.
func (s *Shelf) tags() []tag {
	var all []tag
	for _, r := range s.Rows {
		for _, name := range r.Tags {
			all = append(all, tag{name, r})
		}
	}
	slices.SortFunc(all, func(a, b tag) int { return strings.Compare(a.name, b.name) })
	return all
}

// page cuts rows from on to what was asked for, and says where the next begins; 0 is nowhere.
func page[T any](s *Shelf, all []T, from, n int) (rows []T, next int) {
	if s.Page > 0 {
		n = min(n, s.Page)
	}
	from = min(from, len(all))
	if from+n < len(all) {
		return all[from : from+n], from + n
	}
	return all[from:], 0
}

// want fails the test unless the query is exactly this, values in any order; "*" is any number.
func (s *Shelf) want(w http.ResponseWriter, req *http.Request, query string) bool {
	want, _ := url.ParseQuery(query)
	got := req.URL.Query()
	ok := req.Method == http.MethodGet && len(got) == len(want)
	for k := range want {
		_, err := strconv.Atoi(got.Get(k))
		ok = ok && (got.Get(k) == want.Get(k) || want.Get(k) == "*" && err == nil)
	}
	if !ok {
		s.wrong(w, req)
	}
	return ok
}

func (s *Shelf) wrong(w http.ResponseWriter, req *http.Request) {
	s.TB.Errorf("the API knows no %s %s", req.Method, req.URL)
	refuse(w, http.StatusBadRequest, "UNSUPPORTED", "no such thing")
}

// front lets Each answer first.
func (s *Shelf) front(next, own http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case Parse(req.URL.Path).Kind != Own:
			next.ServeHTTP(w, req)
		case s.Each == nil || !s.Each(w, req):
			own.ServeHTTP(w, req)
		}
	})
}

// ACR has GET /acr/v1/NAME/_tags and _manifests, with n, last and a relative
// Link, GET and PATCH of a tag's attributes, and DELETE of a tag, which it passes on as the
// deletion of a tag of next.
func (s *Shelf) ACR(next http.Handler) http.Handler {
	return s.front(next, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if s.Live {
			s.live.Lock()
			defer s.live.Unlock()
		}
		switch path := req.URL.Path; {
		case !strings.HasPrefix(path, "/acr/v1/"+s.Repo+"/"):
			refuse(w, http.StatusNotFound, "NAME_UNKNOWN", "repository name not known to registry")
		case path == "/acr/v1/"+s.Repo+"/_tags":
			s.look(next)
			s.acrTags(w, req)
		case strings.HasPrefix(path, "/acr/v1/"+s.Repo+"/_tags/") && req.Method != http.MethodDelete:
			s.look(next)
			s.acrTag(w, req, strings.TrimPrefix(path, "/acr/v1/"+s.Repo+"/_tags/"))
		case path == "/acr/v1/"+s.Repo+"/_manifests":
			s.look(next)
			s.acrManifests(w, req)
		case req.Method == http.MethodDelete && strings.HasPrefix(path, "/acr/v1/"+s.Repo+"/_tags/"):
			q := req.Clone(req.Context())
			q.URL.Path = "/v2/" + s.Repo + "/manifests/" + strings.TrimPrefix(path, "/acr/v1/"+s.Repo+"/_tags/")
			next.ServeHTTP(w, q)
		default:
			s.wrong(w, req)
		}
	}))
}

// link sets a Link like ACR's.
func link(w http.ResponseWriter, to string) { w.Header().Set("Link", "<"+to+`>; rel="next"`) }

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
		out = append(out, map[string]any{"name": t.name, "digest": t.row.Digest, "createdTime": Shelved.Format(time.RFC3339Nano),
			"lastUpdateTime": t.row.updated().Format(time.RFC3339Nano), "signed": false, "changeableAttributes": s.attributes(t.name)})
	}
	if next > 0 {
		link(w, fmt.Sprintf("/acr/v1/%s/_tags?last=%s&n=%d%s", s.Repo, rows[len(rows)-1].name, n, order))
	}
	answer(w, map[string]any{"registry": req.Host, "imageName": s.Repo, "tags": out})
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
		m := map[string]any{"digest": r.Digest, "imageSize": r.Size, "createdTime": Shelved, "lastUpdateTime": Shelved, "mediaType": r.MediaType}
		if r.OS != "" {
			m["os"], m["architecture"] = r.OS, r.Arch
		}
		if len(r.Tags) > 0 {
			m["tags"] = r.Tags[:min(len(r.Tags), 10)] // as the service does
		}
		out = append(out, m)
	}
	if next > 0 {
		link(w, fmt.Sprintf("/acr/v1/%s/_manifests?last=%s&n=%d", s.Repo, rows[len(rows)-1].Digest, n))
	}
	answer(w, map[string]any{"registry": req.Host, "imageName": s.Repo, "manifests": out})
}

// Hub is hub.docker.com's GET /v2/repositories/NAME/tags by page and page_size.
// The digest of a tag that begins with "old" is null, as Docker Hub's sometimes are.
func (s *Shelf) Hub(next http.Handler) http.Handler {
	return s.front(next, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") != "" {
			s.TB.Error("a login of the registry went to hub.docker.com")
		}
		if req.URL.Path != "/v2/repositories/"+s.Repo+"/tags" {
			w.WriteHeader(http.StatusNotFound)
			answer(w, map[string]any{"message": "object not found", "errinfo": map[string]any{}})
			return
		}
		q := "page_size=100"
		if req.URL.Query().Has("page") {
			q += "&page=*"
		}
		if !s.want(w, req, q) {
			return
		}
		n, _ := strconv.Atoi(req.URL.Query().Get("page"))
		n = max(n, 1)
		size := 100
		if s.Page > 0 {
			size = s.Page
		}
		all := s.tags()
		rows, more := page(s, all, (n-1)*size, 100)
		out := []map[string]any{}
		for _, t := range rows {
			m := map[string]any{"name": t.name, "digest": t.row.Digest, "last_updated": Shelved, "tag_last_pushed": Shelved, "images": []any{}, "full_size": t.row.Size}
			if strings.HasPrefix(t.name, "old") {
				m["digest"] = nil
			}
			out = append(out, m)
		}
		body := map[string]any{"count": len(all), "next": nil, "previous": nil, "results": out}
		if more > 0 {
			body["next"] = fmt.Sprintf("http://%s/v2/repositories/%s/tags?page=%d&page_size=100", req.Host, s.Repo, n+1)
		}
		answer(w, body)
	}))
}

// Quay is Quay's GET /api/v1/repository/NAME/tag/. It answers 401 where Login is set: the registry's logins do not open it.
func (s *Shelf) Quay(next http.Handler) http.Handler {
	return s.front(next, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case s.Login != "":
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "Requires authentication")
			return
		case req.URL.Path != "/api/v1/repository/"+s.Repo+"/tag/":
			w.WriteHeader(http.StatusNotFound)
			return
		case !s.want(w, req, "limit=100&onlyActiveTags=true&page=*"):
			return
		}
		n, _ := strconv.Atoi(req.URL.Query().Get("page"))
		size := 100
		if s.Page > 0 {
			size = s.Page
		}
		rows, more := page(s, s.tags(), (n-1)*size, 100)
		out := []map[string]any{}
		for _, t := range rows {
			out = append(out, map[string]any{"name": t.name, "manifest_digest": t.row.Digest, "size": t.row.Size, "is_manifest_list": false,
				"last_modified": Shelved.Format(time.RFC1123Z), "start_ts": Shelved.Unix(), "reversion": false})
		}
		answer(w, map[string]any{"tags": out, "page": n, "has_additional": more > 0})
	}))
}

// Harbor is Harbor's GET of …/artifacts, and DELETE of a tag below it, for the user and password in Login.
func (s *Shelf) Harbor(next http.Handler) http.Handler {
	project, rest, _ := strings.Cut(s.Repo, "/")
	base := "/api/v2.0/projects/" + project + "/repositories/" + url.PathEscape(url.PathEscape(rest)) + "/artifacts"
	return s.front(next, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		user, password, _ := req.BasicAuth()
		path := req.URL.EscapedPath()
		switch {
		case s.Login != "" && user+":"+password != s.Login:
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "unauthorized")
			return
		case req.Method == http.MethodDelete && strings.HasPrefix(path, base+"/"):
			tag, again, _ := strings.Cut(strings.TrimPrefix(path, base+"/"), "/tags/")
			if tag != again {
				s.wrong(w, req)
				return
			}
			q := req.Clone(req.Context())
			q.URL.Path, q.URL.RawPath = "/v2/"+s.Repo+"/manifests/"+tag, ""
			next.ServeHTTP(w, q)
			return
		case path != base:
			refuse(w, http.StatusNotFound, "NOT_FOUND", "repository not found")
			return
		case !s.want(w, req, "page=*&page_size=100&with_tag=true"):
			return
		}
		n, _ := strconv.Atoi(req.URL.Query().Get("page"))
		size := 100
		if s.Page > 0 {
			size = s.Page
		}
		rows, more := page(s, s.Rows, (n-1)*size, 100)
		out := []map[string]any{}
		for _, r := range rows {
			m := map[string]any{"digest": r.Digest, "manifest_media_type": r.MediaType, "size": r.Size, "push_time": Shelved, "type": "IMAGE",
				"extra_attrs": map[string]any{"os": r.OS, "architecture": r.Arch, "created": Shelved}}
			var tags []map[string]any
			for _, name := range r.Tags {
				tags = append(tags, map[string]any{"name": name, "push_time": Shelved})
			}
			m["tags"] = tags
			out = append(out, m)
		}
		if more > 0 {
			link(w, fmt.Sprintf("%s?page=%d&page_size=100&with_tag=true", path, n+1))
		}
		w.Header().Set("X-Total-Count", strconv.Itoa(len(s.Rows)))
		answer(w, out)
	}))
}

// GitHub is api.github.com's GET of the versions of a container package, for the token in Login.
func (s *Shelf) GitHub() http.Handler {
	owner, name, _ := strings.Cut(s.Repo, "/")
	base := "/" + s.Owner + "/" + owner + "/packages/container/" + url.PathEscape(name) + "/versions"
	return s.front(http.NotFoundHandler(), http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h := req.Header
		switch {
		case h.Get("Authorization") != "Bearer "+s.Login:
			w.WriteHeader(http.StatusUnauthorized)
			answer(w, map[string]any{"message": "Bad credentials"})
			return
		case h.Get("Accept") != "application/vnd.github+json" || h.Get("X-GitHub-Api-Version") == "":
			s.wrong(w, req)
			return
		case req.URL.EscapedPath() != base:
			w.WriteHeader(http.StatusNotFound)
			answer(w, map[string]any{"message": "Package not found."})
			return
		}
		q := "per_page=100"
		if req.URL.Query().Has("page") {
			q += "&page=*"
		}
		if !s.want(w, req, q) {
			return
		}
		n, _ := strconv.Atoi(req.URL.Query().Get("page"))
		n = max(n, 1)
		size := 100
		if s.Page > 0 {
			size = s.Page
		}
		rows, more := page(s, s.Rows, (n-1)*size, 100)
		out := []map[string]any{}
		for i, r := range rows {
			tags := r.Tags
			if tags == nil {
				tags = []string{}
			}
			out = append(out, map[string]any{"id": i, "name": r.Digest, "created_at": Shelved, "updated_at": Shelved,
				"metadata": map[string]any{"package_type": "container", "container": map[string]any{"tags": tags}}})
		}
		if more > 0 {
			link(w, fmt.Sprintf("http://%s%s?per_page=100&page=%d", req.Host, base, n+1))
		}
		answer(w, out)
	}))
}

// ECR is DescribeImages of Amazon ECR's API in the region and of the account of
// host, whoever signs. With no repository of that name it says so.
func (s *Shelf) ECR(host string) http.Handler {
	name := strings.Split(host, ".") // ACCOUNT.dkr.ecr.REGION.amazonaws.com
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if s.Each != nil && s.Each(w, req) {
			return
		}
		var q struct {
			RegistryID     string  `json:"registryId"`
			RepositoryName string  `json:"repositoryName"`
			MaxResults     int     `json:"maxResults"`
			NextToken      *string `json:"nextToken"`
		}
		h, dec := req.Header, json.NewDecoder(req.Body)
		dec.DisallowUnknownFields()
		err := dec.Decode(&q)
		credential, _, _ := strings.Cut(h.Get("Authorization"), ", ")
		from := 0
		if q.NextToken != nil && err == nil {
			from, err = strconv.Atoi(strings.TrimPrefix(*q.NextToken, "from/"))
		}
		if err != nil || req.Method != http.MethodPost || req.URL.String() != "/" || q.RegistryID != name[0] || q.MaxResults != 1000 ||
			h.Get("X-Amz-Target") != "AmazonEC2ContainerRegistry_V20150921.DescribeImages" || h.Get("Content-Type") != "application/x-amz-json-1.1" ||
			!strings.HasPrefix(credential, "AWS4-HMAC-SHA256 Credential=") || !strings.HasSuffix(credential, "/"+name[3]+"/ecr/aws4_request") {
			s.wrong(w, req)
			return
		}
		if q.RepositoryName != s.Repo {
			w.WriteHeader(http.StatusBadRequest)
			answer(w, map[string]any{"__type": "RepositoryNotFoundException", "message": "The repository does not exist in the registry"})
			return
		}
		s.ecrImages(w, from, q.MaxResults)
	})
}

func (s *Shelf) ecrImages(w http.ResponseWriter, from, n int) {
	rows, next := page(s, s.Rows, from, n)
	images := []map[string]any{}
	for _, r := range rows {
		m := map[string]any{"imageDigest": r.Digest, "imageManifestMediaType": r.MediaType, "imageSizeInBytes": r.Size,
			"imagePushedAt": float64(Shelved.Unix()), "imageStatus": "ACTIVE"}
		if len(r.Tags) > 0 {
			m["imageTags"] = r.Tags
		}
		images = append(images, m)
	}
	out := map[string]any{"imageDetails": images}
	if next > 0 {
		out["nextToken"] = fmt.Sprintf("from/%d", next)
	}
	answer(w, out)
}

// Google adds the map of manifests to the tags/list of next, as gcr.io and Artifact Registry do.
func (s *Shelf) Google(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if e := Parse(req.URL.Path); e.Kind != Tags || e.Repo != s.Repo {
			next.ServeHTTP(w, req)
			return
		}
		ms := strconv.FormatInt(Shelved.UnixMilli(), 10)
		images := map[string]any{}
		names := []string{}
		for _, t := range s.tags() {
			names = append(names, t.name)
		}
		for _, r := range s.Rows {
			images[r.Digest] = map[string]any{"imageSizeBytes": strconv.FormatInt(r.Size, 10), "layerId": "", "mediaType": r.MediaType,
				"tag": r.Tags, "timeCreatedMs": ms, "timeUploadedMs": ms}
		}
		answer(w, map[string]any{"child": []string{}, "manifest": images, "name": s.Repo, "tags": names})
	})
}
