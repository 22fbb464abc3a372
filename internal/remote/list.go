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
			hint := "give repositories by name"
			if f.Hint != "" {
				hint = f.Hint + "; or " + hint
			}
			return &fault.Fault{Kind: f.Kind, Op: f.Op, Name: f.Name, Hint: hint, Err: f.Err}
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
	also  func(member string, dec *json.Decoder) error // reads the page's other members; nil passes over them
	begin func()                                       // called before a page is read, anew for each try; nil is nothing
	paged func() error                                 // called after a page was read, before its names are visited; nil is nothing

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
		if l.paged != nil {
			if err := l.paged(); err != nil {
				return err
			}
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
	if l.begin != nil {
		l.begin()
	}
	err = l.call.readPage(body, func(body io.Reader) error {
		return members(body, func(member string, dec *json.Decoder) error {
			switch {
			case member == l.key:
				return texts(dec, member, func(name string) error {
					if len(page) == maxNames {
						return l.call.fault(fault.TooLarge, "", fmt.Errorf("more than %d names in a page", maxNames))
					}
					page = append(page, name)
					return nil
				})
			case l.also != nil:
				return l.also(member, dec)
			}
			return skip(dec)
		})
	})
	return page, err
}

// readPage reads one page of a list while it arrives, up to maxPage.
func (c *call) readPage(body io.Reader, read func(io.Reader) error) error {
	limited := &io.LimitedReader{R: body, N: maxPage + 1}
	err := read(limited)
	var f *fault.Fault
	switch {
	case limited.N == 0:
		return c.fault(fault.TooLarge, "", fmt.Errorf("a page longer than %d bytes", maxPage))
	case err == nil, errors.As(err, &f):
		return err
	}
	return c.fault(fault.Refused, "", err)
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
	if to := nextLink(a.header); to != "" {
		return l.host.following(ctx, c, a, to)
	}
	if count != pageSize || fresh == 0 || l.last == "" {
		return nil, nil
	}
	origin, err := l.host.origin(ctx)
	if err != nil {
		return nil, err
	}
	origin.Path, origin.RawQuery = l.call.path, url.Values{"n": {fmt.Sprint(pageSize)}, "last": {l.last}}.Encode()
	return origin, nil
}

// following says where the page after a is; it is on the same origin or nowhere.
func (h *host) following(ctx context.Context, c *call, a *answer, link string) (*url.URL, error) {
	origin, err := h.origin(ctx)
	if err != nil {
		return nil, err
	}
	u, err := h.located(origin, a.asked, link)
	if err != nil {
		return nil, c.named(err)
	}
	if !sameOrigin(u, origin) {
		return nil, c.fault(fault.Refused, "", fmt.Errorf("the next page is said to be on another host, %s", u.Host))
	}
	return u, nil
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

// members calls each at the value of every member of the JSON object that page
// is; each reads that value.
func members(page io.Reader, each func(member string, dec *json.Decoder) error) error {
	dec := json.NewDecoder(page)
	if t, err := dec.Token(); err != nil {
		return notJSON(err)
	} else if t != json.Delim('{') {
		return errors.New("the page is no JSON object")
	}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return notJSON(err)
		}
		name, _ := t.(string)
		if err := each(name, dec); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return notJSON(err)
	}
	return nil
}

func notJSON(err error) error { return fmt.Errorf("the page is no JSON: %w", err) }

// open reads the beginning of a list or of an object. It is false for null.
func open(dec *json.Decoder, member string, begin json.Delim) (bool, error) {
	t, err := dec.Token()
	switch {
	case err != nil:
		return false, notJSON(err)
	case t == nil:
		return false, nil
	case t != begin:
		return false, fmt.Errorf("%s is no %s", member, map[json.Delim]string{'[': "list", '{': "object"}[begin])
	}
	return true, nil
}

// texts calls each for the texts of a list, and passes over everything else in it, such as null names.
func texts(dec *json.Decoder, member string, each func(string) error) error {
	if some, err := open(dec, member, '['); !some || err != nil {
		return err
	}
	for depth := 1; depth > 0; {
		t, err := dec.Token()
		if err != nil {
			return notJSON(err)
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
	switch t, err := dec.Token(); {
	case err != nil:
		return notJSON(err)
	case t == json.Delim('['), t == json.Delim('{'):
		return leave(dec)
	}
	return nil
}

// leave passes over the rest of the list or object that was begun.
func leave(dec *json.Decoder) error {
	for depth := 1; depth > 0; {
		t, err := dec.Token()
		if err != nil {
			return notJSON(err)
		}
		switch t {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
	}
	return nil
}
