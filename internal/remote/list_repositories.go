package remote

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// repositories calls visit for each repository path of host. Many registries
// have no such list: then the error says to give repositories by name.
func repositories(ctx context.Context, h *host, who *access, observe event.Observer, visit func(path string) error) error {
	valid := func(s string) bool {
		_, err := ref.NewRepo(h.name, s)
		return err == nil
	}
	l := &list{host: h, key: "repositories", visit: visit, valid: valid, call: catalog(h, who, observe)}
	err := l.run(ctx)
	switch fault.KindOf(err) {
	case fault.Denied, fault.NotFound, fault.Invalid:
		var f *fault.Fault
		if errors.As(err, &f) && f.Op == l.call.op {
			hint := "give repositories by name"
			if f.Hint != "" {
				hint = f.Hint + "; or " + hint
			}
			return &fault.Fault{Kind: f.Kind, Op: f.Op, Name: f.Name, Hint: hint, Err: f.Err}
		}
	}
	return err
}

// FirstTags reads the first page of the list of tags: one request, tried once.
func (r *lister) FirstTags(ctx context.Context) ([]string, error) {
	c := r.call("list tags of", http.MethodGet, "/tags/list", r.repo.String())
	page, err := firstPage(ctx, r.host, c)
	return slices.DeleteFunc(page.Tags, func(s string) bool { return ref.Tag(s) != nil }), err
}

// firstRepositories reads the first page of the list of repositories: one request, tried once.
func firstRepositories(ctx context.Context, h *host, who *access, observe event.Observer) ([]string, error) {
	page, err := firstPage(ctx, h, catalog(h, who, observe))
	return slices.DeleteFunc(page.Repositories, func(s string) bool {
		_, err := ref.NewRepo(h.name, s)
		return err != nil
	}), err
}

// firstNames is the first page of either list.
type firstNames struct{ Tags, Repositories []string }

func firstPage(ctx context.Context, h *host, c *call) (firstNames, error) {
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

// catalog asks for the repositories of a registry.
func catalog(h *host, who *access, observe event.Observer) *call {
	return &call{op: "list repositories of", name: h.name, method: http.MethodGet, path: "/v2/_catalog", access: who, observe: observe}
}
