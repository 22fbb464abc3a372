package beside

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/internal/testbed"
)

// Hub is a stub of hub.docker.com's GET /v2/repositories/NAME/tags with page and page_size. If the
// name of a tag begins with "old", its digest is null, as it sometimes is at Docker Hub.
func (s *Shelf) Hub(next http.Handler) http.Handler {
	return s.front(next, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") != "" {
			s.TB.Error("a login of the registry went to hub.docker.com")
		}
		if req.URL.Path != "/v2/repositories/"+s.Repo+"/tags" {
			w.WriteHeader(http.StatusNotFound)
			testbed.Answer(w, map[string]any{"message": "object not found", "errinfo": map[string]any{}})
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
			m := map[string]any{
				"name":            t.name,
				"digest":          t.row.Digest,
				"last_updated":    Shelved,
				"tag_last_pushed": Shelved,
				"images":          []any{},
				"full_size":       t.row.Size,
			}
			if strings.HasPrefix(t.name, "old") {
				m["digest"] = nil
			}
			out = append(out, m)
		}
		body := map[string]any{"count": len(all), "next": nil, "previous": nil, "results": out}
		if more > 0 {
			body["next"] = fmt.Sprintf("http://%s/v2/repositories/%s/tags?page=%d&page_size=100", req.Host, s.Repo, n+1)
		}
		testbed.Answer(w, body)
	}))
}

// Quay is a stub of Quay's GET /api/v1/repository/NAME/tag/. If Login is set it answers 401, since
// a login of the registry is not valid for this API.
func (s *Shelf) Quay(next http.Handler) http.Handler {
	return s.front(next, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case s.Login != "":
			testbed.Refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "Requires authentication")
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
			out = append(out, map[string]any{
				"name":             t.name,
				"manifest_digest":  t.row.Digest,
				"size":             t.row.Size,
				"is_manifest_list": false,
				"last_modified":    Shelved.Format(time.RFC1123Z),
				"start_ts":         Shelved.Unix(),
				"reversion":        false,
			})
		}
		testbed.Answer(w, map[string]any{"tags": out, "page": n, "has_additional": more > 0})
	}))
}

// Harbor is a stub of Harbor's GET …/artifacts and DELETE of a tag below it, for the user and
// password in Login.
func (s *Shelf) Harbor(next http.Handler) http.Handler {
	project, rest, _ := strings.Cut(s.Repo, "/")
	base := "/api/v2.0/projects/" + project + "/repositories/" + url.PathEscape(url.PathEscape(rest)) + "/artifacts"
	return s.front(next, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		user, password, _ := req.BasicAuth()
		path := req.URL.EscapedPath()
		switch {
		case s.Login != "" && user+":"+password != s.Login:
			testbed.Refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "unauthorized")
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
			testbed.Refuse(w, http.StatusNotFound, "NOT_FOUND", "repository not found")
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
			m := map[string]any{
				"digest":              r.Digest,
				"manifest_media_type": r.MediaType,
				"size":                r.Size,
				"push_time":           Shelved,
				"type":                "IMAGE",
				"extra_attrs":         map[string]any{"os": r.OS, "architecture": r.Arch, "created": Shelved},
			}
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
		testbed.Answer(w, out)
	}))
}

// GitHub is a stub of api.github.com's GET of the versions of a container package, for the token in
// Login.
func (s *Shelf) GitHub() http.Handler {
	owner, name, _ := strings.Cut(s.Repo, "/")
	base := "/" + s.Owner + "/" + owner + "/packages/container/" + url.PathEscape(name) + "/versions"
	return s.front(http.NotFoundHandler(), http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h := req.Header
		switch {
		case h.Get("Authorization") != "Bearer "+s.Login:
			w.WriteHeader(http.StatusUnauthorized)
			testbed.Answer(w, map[string]any{"message": "Bad credentials"})
			return
		case h.Get("Accept") != "application/vnd.github+json" || h.Get("X-GitHub-Api-Version") == "":
			s.wrong(w, req)
			return
		case req.URL.EscapedPath() != base:
			w.WriteHeader(http.StatusNotFound)
			testbed.Answer(w, map[string]any{"message": "Package not found."})
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
		testbed.Answer(w, out)
	}))
}

// ECR is a stub of DescribeImages of Amazon ECR's API, for the region and account of host. It
// accepts any signature. An unknown repository gets RepositoryNotFoundException.
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
		isCall := req.Method == http.MethodPost && req.URL.String() == "/" &&
			h.Get("X-Amz-Target") == "AmazonEC2ContainerRegistry_V20150921.DescribeImages" &&
			h.Get("Content-Type") == "application/x-amz-json-1.1"
		isSigned := strings.HasPrefix(credential, "AWS4-HMAC-SHA256 Credential=") &&
			strings.HasSuffix(credential, "/"+name[3]+"/ecr/aws4_request")
		if err != nil || !isCall || !isSigned || q.RegistryID != name[0] || q.MaxResults != 1000 {
			s.wrong(w, req)
			return
		}
		if q.RepositoryName != s.Repo {
			w.WriteHeader(http.StatusBadRequest)
			testbed.Answer(w, map[string]any{
				"__type":  "RepositoryNotFoundException",
				"message": "The repository does not exist in the registry",
			})
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
	testbed.Answer(w, out)
}

// Google adds the map of manifests to the tags/list of next, as gcr.io and Artifact Registry do.
func (s *Shelf) Google(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if e := testbed.Parse(req.URL.Path); e.Kind != testbed.Tags || e.Repo != s.Repo {
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
			images[r.Digest] = map[string]any{
				"imageSizeBytes": strconv.FormatInt(r.Size, 10),
				"layerId":        "",
				"mediaType":      r.MediaType,
				"tag":            r.Tags,
				"timeCreatedMs":  ms,
				"timeUploadedMs": ms,
			}
		}
		testbed.Answer(w, map[string]any{"child": []string{}, "manifest": images, "name": s.Repo, "tags": names})
	})
}
