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

// pull is the verb that the rules must grant for reading the embedded registry.
const pull = "pull"

const (
	defaultPage = 100
	maxPage     = 1000 // as in ACR
)

// content answers the requests of `az acr repository` about the embedded registry: ACR's data plane.
// The answers contain no times, because the registry does not know them. A request for an order by
// time is refused, because a script that deletes old images must not get another order.
func (h *handler) content(w http.ResponseWriter, r *http.Request) {
	rest, ours := strings.CutPrefix(r.URL.Path, "/acr/v1/")
	if h.V2 == nil || !ours || r.Method != http.MethodGet {
		ociError(w, http.StatusNotFound, "UNSUPPORTED",
			"only catalogs, tags and manifests of the embedded registry can be read here")
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
		ociError(w, http.StatusBadRequest, "UNSUPPORTED",
			"this registry does not know when its tags were set; leave orderby out")
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
	// A text that is not a name could become a path with another meaning.
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
		ociError(w, http.StatusNotFound, "UNSUPPORTED", "read a single manifest at /v2/")
	}
}

// catalog answers with a page of the repositories that the principal may pull.
func (h *handler) catalog(w http.ResponseWriter, r *http.Request, p access.Principal) {
	n := pageSize(r)
	mine, last := []string{}, r.URL.Query().Get("last")
	for len(mine) <= n { // one more than a page, to know whether another page follows
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

// attributes returns the attributes of a repository or tag that is not locked, because dray's
// registry has no locks.
func attributes() map[string]bool {
	return map[string]bool{"deleteEnabled": true, "writeEnabled": true, "readEnabled": true, "listEnabled": true}
}

// tagged is a tag in the form of ACR.
type tagged struct {
	Name       string          `json:"name"`
	Digest     string          `json:"digest"`
	Signed     bool            `json:"signed"`
	Attributes map[string]bool `json:"changeableAttributes"`

	mediaType string
}

// names returns one page of the tags of repo, at most n. more reports whether other tags follow. If ok
// is false, names has answered the request with an error.
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

// tags answers with one page of the tags of repo.
func (h *handler) tags(w http.ResponseWriter, r *http.Request, repo string) {
	n := pageSize(r)
	names, others, ok := h.names(w, r, repo, n)
	if !ok {
		return
	}
	digest := r.URL.Query().Get("digest")
	all := []tagged{}
	for _, name := range names {
		// A tag that was deleted meanwhile is left out.
		if t, ok := h.resolve(r.Context(), repo, name); ok && (digest == "" || digest == t.Digest) {
			all = append(all, t)
		}
	}
	if others {
		nextPage(w, r, n, names[n-1])
	}
	answer(w, http.StatusOK, map[string]any{"registry": h.Host, "imageName": repo, "tags": all})
}

// tag answers with one tag.
func (h *handler) tag(w http.ResponseWriter, r *http.Request, repo, name string) {
	t, ok := h.resolve(r.Context(), repo, name)
	if !ok {
		ociError(w, http.StatusNotFound, "TAG_UNKNOWN", "the repository has no such tag")
		return
	}
	answer(w, http.StatusOK, map[string]any{"registry": h.Host, "imageName": repo, "tag": t})
}

// manifests answers with the manifests of one page of tags. Manifests without a tag are not listed.
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

// repository answers with the number of tags of repo.
func (h *handler) repository(w http.ResponseWriter, r *http.Request, repo string) {
	names, _, ok := h.names(w, r, repo, 1<<30)
	if !ok {
		return
	}
	answer(w, http.StatusOK, map[string]any{
		"registry": h.Host, "imageName": repo, "tagCount": len(names), "changeableAttributes": attributes(),
	})
}

// resolve returns the tag with its digest; false means that it does not exist.
func (h *handler) resolve(ctx context.Context, repo, tag string) (tagged, bool) {
	rec := h.askEmbedded(ctx, http.MethodHead, "/v2/"+repo+"/manifests/"+url.PathEscape(tag), nil)
	t := tagged{
		Name:       tag,
		Digest:     rec.header.Get("Docker-Content-Digest"),
		Attributes: attributes(),
		mediaType:  rec.header.Get("Content-Type"),
	}
	return t, rec.status == http.StatusOK && t.Digest != ""
}

// v2 sends a request to the embedded registry and decodes its answer into v. If the registry answers
// with an error, v2 passes the error to the client and returns false.
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

// askEmbedded calls the handler of the embedded registry in this process and returns its answer.
func (h *handler) askEmbedded(ctx context.Context, method, path string, query url.Values) *recorder {
	rec := &recorder{header: http.Header{}}
	u := url.URL{Scheme: "http", Host: h.Host, Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		rec.status = http.StatusBadRequest
		return rec
	}
	req.RequestURI = u.RequestURI()
	for _, accepted := range []string{
		"application/vnd.oci.image.index.v1+json",
		"application/vnd.oci.image.manifest.v1+json",
		"application/vnd.docker.distribution.manifest.list.v2+json",
		"application/vnd.docker.distribution.manifest.v2+json",
	} {
		req.Header.Add("Accept", accepted)
	}
	h.V2.ServeHTTP(rec, req)
	return rec
}

// recorder is a ResponseWriter that keeps the answer.
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

// pageSize returns the number of entries in a page that the request asks for.
func pageSize(r *http.Request) int {
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil || n <= 0 {
		return defaultPage
	}
	return min(n, maxPage)
}

// nextPage sets the header Link to the next page. The URL is relative, because SDKs join it to their
// endpoint.
func nextPage(w http.ResponseWriter, r *http.Request, n int, last string) {
	q := url.Values{"last": {last}, "n": {strconv.Itoa(n)}}
	if by := r.URL.Query().Get("orderby"); by != "" {
		q.Set("orderby", by)
	}
	w.Header().Set("Link", "<"+(&url.URL{Path: r.URL.Path, RawQuery: q.Encode()}).String()+`>; rel="next"`)
}

// ociError answers with an error in the form of distribution-spec v1.1.1 §Error Codes.
func ociError(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, map[string]any{"errors": []any{map[string]any{"code": code, "message": message}}})
}
