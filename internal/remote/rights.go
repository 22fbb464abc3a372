package remote

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Once makes r give up where it would wait and try again, and leaves mirrors
// out: what is asked then shows the registry as it is now. Call it before anything else.
func (r *Repository) Once() *Repository {
	r.single, r.mirrors = true, nil
	return r
}

// Login is what r shows the registry.
func (r *Repository) Login(ctx context.Context) (credential.Login, error) { return r.access.who(ctx) }

// Granted returns the actions that the token of r's login lacks: "push". known is false where
// there is no token, or it does not tell what it is good for. It costs a request
// only where no token was asked for yet.
func (r *Repository) Granted(ctx context.Context) (missing []string, known bool, err error) {
	c := r.call("get a token for", http.MethodPost, "", r.repo.String())
	authz, err := r.host.authorization(ctx, c, "")
	if err != nil {
		return nil, false, err
	}
	token, isBearer := strings.CutPrefix(authz, "Bearer ")
	if !isBearer {
		return nil, false, nil
	}
	granted, known := grantedBy(token, r.repo.Path)
	if !known {
		return nil, false, nil
	}
	_, wanted := cutActions(r.access.wanted()[0])
	for _, action := range wanted {
		if !slices.Contains(granted, action) && !slices.Contains(granted, "*") {
			missing = append(missing, action)
		}
	}
	return missing, true, nil
}

// grantedBy reads the access claim of a token (distribution's token
// specification §Claim Set); known is false where it has none.
func grantedBy(token, path string) (actions []string, known bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	var claims struct {
		Access *[]struct {
			Type, Name string
			Actions    []string
		}
	}
	if err != nil || json.Unmarshal(raw, &claims) != nil || claims.Access == nil {
		return nil, false
	}
	for _, a := range *claims.Access {
		if a.Type == "repository" && a.Name == path {
			actions = append(actions, a.Actions...)
		}
	}
	return actions, true
}

// TryPush opens an upload and cancels it: nothing stays. left reports that the
// registry did not take the cancelling; it drops the upload by itself in time.
func (r *Repository) TryPush(ctx context.Context) (left bool, err error) {
	c := r.call("open an upload in", http.MethodPost, "/blobs/uploads/", r.repo.String())
	a, err := r.host.do(ctx, c, http.StatusAccepted)
	if err != nil {
		return false, err
	}
	origin, err := r.host.origin(ctx)
	if err != nil {
		return true, err
	}
	at, err := r.host.located(origin, a.asked, a.header.Get("Location"))
	if err != nil {
		return true, c.named(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	end := *c
	// Some registries want the right to delete for this: the 401 says so, and the next token asks for it.
	end.op, end.method, end.url = "cancel the upload in", http.MethodDelete, at
	_, err = r.host.do(ctx, &end, http.StatusOK, http.StatusAccepted, http.StatusNoContent, http.StatusNotFound)
	return err != nil, nil
}

// Ranges asks for the first byte of a blob of at least two, and reports whether that is what came.
func (r *Repository) Ranges(ctx context.Context, d oci.Descriptor) (bool, error) {
	c := r.call("read a byte of", http.MethodGet, "/blobs/"+string(d.Digest), r.blobName(d))
	if err := c.checked(string(d.Digest)); err != nil {
		return false, err
	}
	c.lane = down
	body, err := r.ranged(ctx, c, d, 0, 1)
	if err != nil || body == nil {
		return false, err
	}
	return true, body.Close()
}

// HasReferrers asks whether the registry has the referrers API; known is false where its answer does not tell.
func (r *Repository) HasReferrers(ctx context.Context, d oci.Digest) (has, known bool, err error) {
	c := r.call("list referrers of", http.MethodGet, "/referrers/"+string(d), r.repo.At(string(d)).String())
	if err := c.checked(string(d)); err != nil {
		return false, false, err
	}
	c.limit = oci.MaxDocument
	a, err := r.host.do(ctx, c, 200, 400, 403, 404, 405, 501)
	if err != nil {
		return false, false, err
	}
	code, _ := a.problem()
	switch {
	case a.status == http.StatusOK:
		return true, true, nil
	case a.status == http.StatusNotFound && code == "NAME_UNKNOWN", a.status == http.StatusForbidden, a.status == http.StatusBadRequest:
		return false, false, nil
	}
	return false, true, nil
}

// FirstTags reads the first page of the list of tags: one request, tried once.
func (r *Repository) FirstTags(ctx context.Context) ([]string, error) {
	c := r.call("list tags of", http.MethodGet, "/tags/list", r.repo.String())
	page, err := r.host.firstPage(ctx, c)
	return slices.DeleteFunc(page.Tags, func(s string) bool { return ref.Tag(s) != nil }), err
}

// FirstRepositories reads the first page of the list of repositories: one request, tried once.
func (c *Client) FirstRepositories(ctx context.Context, host string, use Use) ([]string, error) {
	name, err := ref.Host(host)
	if err != nil {
		return nil, err
	}
	who := &access{chain: c.options.Logins, repo: ref.Repo{Host: name}, login: use.Login, scopes: []string{"registry:catalog:*"}}
	page, err := c.host(name).firstPage(ctx, &call{op: "list repositories of", name: name, method: http.MethodGet, path: "/v2/_catalog", access: who, observe: use.Observe})
	return slices.DeleteFunc(page.Repositories, func(s string) bool {
		_, err := ref.NewRepo(name, s)
		return err != nil
	}), err
}

// firstNames is the first page of either list.
type firstNames struct{ Tags, Repositories []string }

func (h *host) firstPage(ctx context.Context, c *call) (firstNames, error) {
	var p firstNames
	c.single, c.limit, c.query = true, 4<<20, url.Values{"n": {strconv.Itoa(pageSize)}}.Encode()
	a, err := h.do(ctx, c, http.StatusOK)
	if err != nil {
		return firstNames{}, err
	}
	if json.Unmarshal(a.raw, &p) != nil {
		return firstNames{}, c.fault(fault.Refused, "", quote(a.status, "", "the list is no JSON"))
	}
	return p, nil
}
