package list

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
	"github.com/drayage/dray/internal/remote/ask"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/ref"
)

// Repositories calls visit for each repository path of host. Many registries do not offer this
// list; the hint of the error then says to name the repositories.
func Repositories(
	ctx context.Context, h *ask.Host, who *wire.Access, observe event.Watch, visit func(path string) error,
) error {
	valid := func(s string) bool {
		_, err := ref.NewRepo(h.Name, s)
		return err == nil
	}
	l := &list{host: h, key: "repositories", visit: visit, valid: valid, call: catalog(h, who, observe)}
	err := l.run(ctx)
	switch fault.KindOf(err) {
	case fault.Denied, fault.NotFound, fault.Invalid:
		var f *fault.Fault
		if errors.As(err, &f) && f.Op == l.call.Op {
			hint := "name the repositories"
			if f.Hint != "" {
				hint = f.Hint + "; or " + hint
			}
			return &fault.Fault{Kind: f.Kind, Op: f.Op, Name: f.Name, Hint: hint, Err: f.Err}
		}
	}
	return err
}

// FirstTags returns the first page of the list of tags. It makes one request and does not retry.
func (r *Lister) FirstTags(ctx context.Context) ([]string, error) {
	c := r.Call("list tags of", http.MethodGet, "/tags/list", r.Repo.String())
	page, err := firstPage(ctx, r.Host, c)
	return slices.DeleteFunc(page.Tags, func(s string) bool { return ref.Tag(s) != nil }), err
}

// FirstRepositories returns the first page of the list of repositories. It makes one request and
// does not retry.
func FirstRepositories(ctx context.Context, h *ask.Host, who *wire.Access, observe event.Watch) ([]string, error) {
	page, err := firstPage(ctx, h, catalog(h, who, observe))
	return slices.DeleteFunc(page.Repositories, func(s string) bool {
		_, err := ref.NewRepo(h.Name, s)
		return err != nil
	}), err
}

// firstNames is the first page of either list.
type firstNames struct{ Tags, Repositories []string }

func firstPage(ctx context.Context, h *ask.Host, c *wire.Call) (firstNames, error) {
	var p firstNames
	c.Single, c.Limit, c.Query = true, 4<<20, url.Values{"n": {strconv.Itoa(pageSize)}}.Encode()
	a, err := h.Do(ctx, c, http.StatusOK)
	if err != nil {
		return firstNames{}, err
	}
	if json.Unmarshal(a.Raw, &p) != nil {
		return firstNames{}, c.Fault(fault.Refused, "", wire.Quote(a.Status, "", "the list is not JSON"))
	}
	return p, nil
}

// catalog returns the request for the repositories of a registry.
func catalog(h *ask.Host, who *wire.Access, observe event.Watch) *wire.Call {
	return &wire.Call{
		Op:      "list repositories of",
		Name:    h.Name,
		Method:  http.MethodGet,
		Path:    "/v2/_catalog",
		Access:  who,
		Observe: observe,
	}
}
