package arm

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// What lists of the embedded registry are asked of the rules as.
const pull = "pull"

const (
	defaultPage = 100
	maxPage     = 1000 // ACR's own
)

// content is ACR's data plane over the embedded registry: what `az acr repository` reads. Times are
// not told, because the registry does not know them, and who wants an order by them is refused:
// scripts that remove what is old must not be told of another.
func (h *handler) content(w http.ResponseWriter, r *http.Request) {
	rest, ours := strings.CutPrefix(r.URL.Path, "/acr/v1/")
	if h.V2 == nil || !ours || r.Method != http.MethodGet {
		ociError(w, http.StatusNotFound, "UNSUPPORTED", "dray reads catalogs, tags and manifests here, of its own registry")
		return
	}
	p, err := h.Access.Authenticate(r)
	if err != nil && !fault.Is(err, fault.Denied) {
		ociError(w, http.StatusServiceUnavailable, "UNAVAILABLE", withHint(err))
		return
	}
	if err != nil {
		w.Header().Set("WWW-Authenticate", Challenge(h.base(r)))
		ociError(w, http.StatusUnauthorized, "UNAUTHORIZED", withHint(err))
		return
	}
	if by := r.URL.Query().Get("orderby"); by != "" && !strings.EqualFold(by, "none") {
		ociError(w, http.StatusBadRequest, "UNSUPPORTED", "this registry does not know when its tags were set: leave orderby out")
		return
	}
	if rest == "_catalog" {
		h.catalog(w, r, p)
		return
	}
	repo, what, tag := rest, "", ""
	for _, list := range []string{"/_tags", "/_manifests"} {
		if before, after, found := strings.Cut(rest, list); found && (after == "" || after[0] == '/') {
			repo, what, tag = before, list, strings.TrimPrefix(after, "/")
		}
	}
	// What is no name must not become a path of another meaning.
	if _, err := ref.NewRepo(h.Host, repo); err != nil || what == "/_tags" && tag != "" && ref.Tag(tag) != nil {
		ociError(w, http.StatusBadRequest, "NAME_INVALID", "not the name of a repository or tag")
		return
	}
	if err := h.Access.Allow(p, access.Ask{Verb: pull, Source: h.Host + "/" + repo}); err != nil {
		ociError(w, http.StatusForbidden, "DENIED", withHint(err))
		return
	}
	switch {
	case what == "/_tags" && tag != "":
		h.tag(w, r, repo, tag)
	case what == "/_tags":
		h.tags(w, r, repo)
	case what == "/_manifests" && tag == "":
		h.manifests(w, r, repo)
	case what == "":
		h.repository(w, r, repo)
	default:
		ociError(w, http.StatusNotFound, "UNSUPPORTED", "one manifest is read at /v2/")
	}
}

func (h *handler) catalog(w http.ResponseWriter, r *http.Request, p access.Principal) {
	n := pageSize(r)
	mine, last := []string{}, r.URL.Query().Get("last")
	for len(mine) <= n { // one more tells whether there are more
		var page struct {
			Repositories []string `json:"repositories"`
		}
		if !h.v2(w, r, "/v2/_catalog", url.Values{"n": {strconv.Itoa(maxPage)}, "last": {last}}, &page) {
			return
		}
		for _, repo := range page.Repositories {
			if h.Access.Allow(p, access.Ask{Verb: pull, Source: h.Host + "/" + repo}) == nil {
				mine = append(mine, repo)
			}
		}
		if len(page.Repositories) < maxPage {
			break
		}
		last = page.Repositories[len(page.Repositories)-1]
	}
	if len(mine) > n {
		mine = mine[:n]
		nextPage(w, r, n, mine[n-1])
	}
	answer(w, http.StatusOK, map[string]any{"repositories": mine})
}

// attributes are those of something that is not locked: dray has no locks of its own.
func attributes() map[string]bool {
	return map[string]bool{"deleteEnabled": true, "writeEnabled": true, "readEnabled": true, "listEnabled": true}
}

type tagged struct {
	Name       string          `json:"name"`
	Digest     string          `json:"digest"`
	Signed     bool            `json:"signed"`
	Attributes map[string]bool `json:"changeableAttributes"`

	mediaType string
}

// names lists the tags of repo, those of one page; more tells whether there are others.
func (h *handler) names(w http.ResponseWriter, r *http.Request, repo string, n int) (tags []string, more, ok bool) {
	var page struct {
		Tags []string `json:"tags"`
	}
	if !h.v2(w, r, "/v2/"+repo+"/tags/list", nil, &page) {
		return nil, false, false
	}
	slices.Sort(page.Tags)
	if last := r.URL.Query().Get("last"); last != "" {
		i, found := slices.BinarySearch(page.Tags, last)
		if found {
			i++
		}
		page.Tags = page.Tags[i:]
	}
	if len(page.Tags) > n {
		return page.Tags[:n], true, true
	}
	return page.Tags, false, true
}

func (h *handler) tags(w http.ResponseWriter, r *http.Request, repo string) {
	n := pageSize(r)
	names, others, ok := h.names(w, r, repo, n)
	if !ok {
		return
	}
	digest := r.URL.Query().Get("digest")
	all := []tagged{}
	for _, name := range names {
		// A tag that went in between is left out.
		if t, ok := h.resolve(r.Context(), repo, name); ok && (digest == "" || digest == t.Digest) {
			all = append(all, t)
		}
	}
	if others {
		nextPage(w, r, n, names[n-1])
	}
	answer(w, http.StatusOK, map[string]any{"registry": h.Host, "imageName": repo, "tags": all})
}

func (h *handler) tag(w http.ResponseWriter, r *http.Request, repo, name string) {
	t, ok := h.resolve(r.Context(), repo, name)
	if !ok {
		ociError(w, http.StatusNotFound, "TAG_UNKNOWN", "the repository has no such tag")
		return
	}
	answer(w, http.StatusOK, map[string]any{"registry": h.Host, "imageName": repo, "tag": t})
}

// manifests lists those that have tags.
func (h *handler) manifests(w http.ResponseWriter, r *http.Request, repo string) {
	n := pageSize(r)
	names, others, ok := h.names(w, r, repo, n)
	if !ok {
		return
	}
	type manifest struct {
		Digest     string          `json:"digest"`
		MediaType  string          `json:"mediaType"`
		Tags       []string        `json:"tags"`
		Attributes map[string]bool `json:"changeableAttributes"`
	}
	all, at := []*manifest{}, map[string]*manifest{}
	for _, name := range names {
		t, ok := h.resolve(r.Context(), repo, name)
		if !ok {
			continue
		}
		if at[t.Digest] == nil {
			at[t.Digest] = &manifest{Digest: t.Digest, MediaType: t.mediaType, Attributes: attributes()}
			all = append(all, at[t.Digest])
		}
		at[t.Digest].Tags = append(at[t.Digest].Tags, name)
	}
	if others {
		nextPage(w, r, n, names[n-1])
	}
	answer(w, http.StatusOK, map[string]any{"registry": h.Host, "imageName": repo, "manifests": all})
}

func (h *handler) repository(w http.ResponseWriter, r *http.Request, repo string) {
	names, _, ok := h.names(w, r, repo, 1<<30)
	if !ok {
		return
	}
	answer(w, http.StatusOK, map[string]any{"registry": h.Host, "imageName": repo, "tagCount": len(names), "changeableAttributes": attributes()})
}

func (h *handler) resolve(ctx context.Context, repo, tag string) (tagged, bool) {
	rec := h.askEmbedded(ctx, http.MethodHead, "/v2/"+repo+"/manifests/"+url.PathEscape(tag), nil)
	t := tagged{Name: tag, Digest: rec.header.Get("Docker-Content-Digest"), Attributes: attributes(), mediaType: rec.header.Get("Content-Type")}
	return t, rec.status == http.StatusOK && t.Digest != ""
}

// v2 asks the embedded registry and decodes its answer into v, or passes on what it says instead.
func (h *handler) v2(w http.ResponseWriter, r *http.Request, path string, query url.Values, v any) bool {
	rec := h.askEmbedded(r.Context(), http.MethodGet, path, query)
	if rec.status != http.StatusOK {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(rec.status)
		_, _ = w.Write(rec.body.Bytes())
		return false
	}
	if err := json.Unmarshal(rec.body.Bytes(), v); err != nil {
		ociError(w, http.StatusInternalServerError, "UNKNOWN", "the registry's answer is not JSON")
		return false
	}
	return true
}

// inner asks the embedded registry within the process.
func (h *handler) askEmbedded(ctx context.Context, method, path string, query url.Values) *recorder {
	rec := &recorder{header: http.Header{}}
	u := url.URL{Scheme: "http", Host: h.Host, Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		rec.status = http.StatusBadRequest
		return rec
	}
	req.RequestURI = u.RequestURI()
	for _, accepted := range []string{"application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
		"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json"} {
		req.Header.Add("Accept", accepted)
	}
	h.V2.ServeHTTP(rec, req)
	return rec
}

// recorder keeps an answer of the registry in this process.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

func pageSize(r *http.Request) int {
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil || n <= 0 {
		return defaultPage
	}
	return min(n, maxPage)
}

// more says where the next page is: relative, because SDKs join it to their endpoint.
func nextPage(w http.ResponseWriter, r *http.Request, n int, last string) {
	q := url.Values{"last": {last}, "n": {strconv.Itoa(n)}}
	if by := r.URL.Query().Get("orderby"); by != "" {
		q.Set("orderby", by)
	}
	w.Header().Set("Link", "<"+(&url.URL{Path: r.URL.Path, RawQuery: q.Encode()}).String()+`>; rel="next"`)
}

// ociError is distribution-spec v1.1.1 §Error Codes.
func ociError(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, map[string]any{"errors": []any{map[string]any{"code": code, "message": message}}})
}
