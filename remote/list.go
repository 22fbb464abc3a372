package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

const (
	pageSize  = 1000     // names asked for at once; ECR refuses more
	maxPage   = 64 << 20 // bytes of one page
	maxNames  = 1 << 20  // names in one page
	maxPages  = 100_000
	maxStrays = 3 // pages without a new name that are borne
)

// Tags calls visit for each tag, in the registry's order, until visit returns
// an error, which Tags returns as it is. Names that are no tags and repeats
// from one page to the next are left out.
func (r *Repository) Tags(ctx context.Context, visit func(tag string) error) error {
	c := r.call("list tags of", http.MethodGet, "/tags/list", r.repo.String())
	l := &list{host: r.host, call: c, key: "tags", valid: func(s string) bool { return ref.Tag(s) == nil }, visit: visit}
	return l.run(ctx)
}

// Repositories calls visit for each repository path of host. Many registries
// have no such list: then the error says to give repositories by name.
func (c *Client) Repositories(ctx context.Context, host string, use Use, visit func(path string) error) error {
	name, err := ref.Host(host)
	if err != nil {
		return err
	}
	who := &access{chain: c.options.Logins, repo: ref.Repo{Host: name}, login: use.Login, scopes: []string{"registry:catalog:*"}}
	valid := func(s string) bool {
		_, err := ref.NewRepo(name, s)
		return err == nil
	}
	l := &list{host: c.host(name), key: "repositories", visit: visit, valid: valid,
		call: &call{op: "list repositories of", name: name, method: http.MethodGet, path: "/v2/_catalog", access: who, observe: use.Observe}}
	err = l.run(ctx)
	switch fault.KindOf(err) {
	case fault.Denied, fault.NotFound, fault.Invalid:
		var f *fault.Fault
		if errors.As(err, &f) && f.Op == l.call.op {
			return &fault.Fault{Kind: f.Kind, Op: f.Op, Name: f.Name, Hint: "give repositories by name", Err: f.Err}
		}
	}
	return err
}

// list walks the pages of one list (distribution-spec v1.1.1 §Content Discovery).
type list struct {
	host  *host
	call  *call
	key   string
	valid func(string) bool
	visit func(string) error

	before map[string]bool // the names of the page before
	last   string
}

func (l *list) run(ctx context.Context) error {
	c := *l.call
	c.query = fmt.Sprintf("n=%d", pageSize)
	var page []string
	c.take = func(body io.Reader) (err error) {
		page, err = l.read(body)
		return err
	}
	asked := map[string]bool{}
	strays := 0
	for range maxPages {
		a, err := l.host.do(ctx, &c, http.StatusOK)
		if err != nil {
			return err
		}
		fresh, err := l.show(page)
		if err != nil {
			return err
		}
		if fresh > 0 {
			strays = 0
		} else if strays++; strays > maxStrays {
			return c.fault(fault.Refused, "", errors.New("the list repeats itself"))
		}
		next, err := l.next(ctx, &c, a, len(page), fresh)
		if err != nil || next == nil {
			return err
		}
		if asked[next.String()] {
			return c.fault(fault.Refused, "", errors.New("the list repeats itself"))
		}
		asked[next.String()] = true
		c.url = next
	}
	return c.fault(fault.TooLarge, "", fmt.Errorf("more than %d pages", maxPages))
}

// read takes the names out of one page while it arrives.
func (l *list) read(body io.Reader) (page []string, err error) {
	limited := &io.LimitedReader{R: body, N: maxPage + 1}
	err = names(limited, l.key, func(name string) error {
		if len(page) == maxNames {
			return l.call.fault(fault.TooLarge, "", fmt.Errorf("more than %d names in a page", maxNames))
		}
		page = append(page, name)
		return nil
	})
	var f *fault.Fault
	switch {
	case limited.N == 0:
		return nil, l.call.fault(fault.TooLarge, "", fmt.Errorf("a page longer than %d bytes", maxPage))
	case err == nil, errors.As(err, &f):
		return page, err
	}
	return nil, l.call.fault(fault.Refused, "", err)
}

// show visits the names of one page. fresh is how many were not on the page before.
func (l *list) show(page []string) (fresh int, err error) {
	here := map[string]bool{}
	for _, name := range page {
		if !l.valid(name) || here[name] {
			continue
		}
		here[name], l.last = true, name
		if l.before[name] {
			continue
		}
		fresh++
		if err := l.visit(name); err != nil {
			return fresh, err
		}
	}
	l.before = here
	return fresh, nil
}

// next finds the following page: by Link, and where a full page has none by
// asking once more with its last name, because some registries leave it out.
func (l *list) next(ctx context.Context, c *call, a *answer, count, fresh int) (*url.URL, error) {
	origin, err := l.host.origin(ctx)
	if err != nil {
		return nil, err
	}
	at := a.asked
	if to := nextLink(a.header); to != "" {
		u, err := l.host.located(origin, at, to)
		if err != nil {
			return nil, c.named(err)
		}
		if !sameOrigin(u, origin) {
			return nil, c.fault(fault.Refused, "", fmt.Errorf("the next page is said to be on another host, %s", u.Host))
		}
		return u, nil
	}
	if count != pageSize || fresh == 0 || l.last == "" {
		return nil, nil
	}
	origin.Path, origin.RawQuery = l.call.path, url.Values{"n": {fmt.Sprint(pageSize)}, "last": {l.last}}.Encode()
	return origin, nil
}

// nextLink returns the target of the Link with rel="next" (RFC 8288 §3); "" when there is none.
func nextLink(h http.Header) string {
	for _, line := range h.Values("Link") {
		for line != "" {
			open := strings.IndexByte(line, '<')
			if open < 0 {
				break
			}
			end := strings.IndexByte(line[open:], '>')
			if end < 0 {
				break
			}
			target, rest := line[open+1:open+end], line[open+end+1:]
			params, after := rest, ""
			if i := strings.Index(rest, ",<"); i >= 0 {
				params, after = rest[:i], rest[i+1:]
			} else if i := strings.Index(rest, ", <"); i >= 0 {
				params, after = rest[:i], rest[i+2:]
			}
			if isNext(params) {
				return target
			}
			line = after
		}
	}
	return ""
}

func isNext(params string) bool {
	for _, p := range strings.Split(params, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(strings.TrimSpace(key), "rel") && strings.EqualFold(strings.Trim(strings.TrimSpace(value), `"`), "next") {
			return true
		}
	}
	return false
}

// names calls each for the texts of one list in a JSON object and passes over
// everything else in it, such as the maps that gcr and ACR add and null names.
func names(page io.Reader, key string, each func(string) error) error {
	dec := json.NewDecoder(page)
	if t, err := dec.Token(); err != nil {
		return fmt.Errorf("the page is no JSON: %w", err)
	} else if t != json.Delim('{') {
		return errors.New("the page is no JSON object")
	}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return fmt.Errorf("the page is no JSON: %w", err)
		}
		if t != key {
			if err := skip(dec); err != nil {
				return err
			}
			continue
		}
		if t, err = dec.Token(); err != nil {
			return fmt.Errorf("the page is no JSON: %w", err)
		}
		if t == nil {
			continue
		}
		if t != json.Delim('[') {
			return fmt.Errorf("%s is no list", key)
		}
		if err := texts(dec, each); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("the page is no JSON: %w", err)
	}
	return nil
}

func texts(dec *json.Decoder, each func(string) error) error {
	for depth := 1; depth > 0; {
		t, err := dec.Token()
		if err != nil {
			return fmt.Errorf("the page is no JSON: %w", err)
		}
		switch t {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
		if s, ok := t.(string); ok && depth == 1 {
			if err := each(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// skip passes over one value.
func skip(dec *json.Decoder) error {
	for depth := 0; ; {
		t, err := dec.Token()
		if err != nil {
			return fmt.Errorf("the page is no JSON: %w", err)
		}
		switch t {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}
