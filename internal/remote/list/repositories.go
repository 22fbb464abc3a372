package list

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/ask"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/ref"
)

// Repositories calls visit for each repository path of host. Many registries do not offer this
// list; the hint of the error then says to name the repositories.
func Repositories(
	ctx context.Context, taught *Lessons, who *wire.Access, observe event.Watch, visit func(path string) error,
) error {
	h, odd, room := taught.host, &oddities{}, taught.share()
	defer room.leave()
	valid := func(s string) bool {
		_, err := ref.NewRepo(h.Name, s)
		return err == nil
	}
	l := &list{
		host:   h,
		key:    "repositories",
		paging: &taught.repositories,
		odd:    odd,
		valid:  valid,
		visit: func(path string) error {
			if err := room.take(len(path)); err != nil {
				return named("list repositories of", h.Name, err)
			}
			return visit(path)
		},
		call: catalog(h, who, observe),
	}
	err := l.run(ctx)
	odd.tell(observe, h.Name, h.Name, "repositories")
	switch fault.KindOf(err) {
	case fault.Denied, fault.NotFound, fault.Refused:
		// The hint of a login that is missing or wrong is inside: no other name helps against that.
		f, ok := errors.AsType[*fault.Fault](err)
		whole := fault.Is(err, fault.Refused) && fault.HintOf(err) != "" // TLS, or a web page: nothing works
		if ok && f.Op == l.call.Op && (f.Hint != "" || fault.HintOf(err) == "") && !whole {
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
	l := &list{
		host:   r.Host,
		key:    "tags",
		paging: &r.taught.tags,
		call:   r.Call("list tags of", http.MethodGet, "/tags/list", r.Repo.String()),
		valid:  func(tag string) bool { return ref.Tag(tag) == nil },
	}
	return l.first(ctx)
}

// FirstRepositories returns the first page of the list of repositories. It makes one request and
// does not retry.
func FirstRepositories(ctx context.Context, taught *Lessons, who *wire.Access, observe event.Watch) ([]string, error) {
	h := taught.host
	l := &list{
		host:   h,
		key:    "repositories",
		paging: &taught.repositories,
		call:   catalog(h, who, observe),
		valid: func(path string) bool {
			_, err := ref.NewRepo(h.Name, path)
			return err == nil
		},
	}
	return l.first(ctx)
}

// first returns the valid names of the first page.
func (l *list) first(ctx context.Context) ([]string, error) {
	c := *l.call
	c.Single = true
	page, _, err := l.ask(ctx, &c)
	return slices.DeleteFunc(page, func(s string) bool { return !l.valid(s) }), err
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
