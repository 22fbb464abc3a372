package list

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/ask"
	"github.com/drayage/dray/internal/remote/link"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// errLearned ends a plain list whose first answer revealed a kind of registry that has a list of
// its own.
type errLearned struct{}

func (errLearned) Error() string { return "the registry turned out to have a list of its own" }

func isLearned(err error) bool {
	_, is := err.(errLearned) //nolint:errorlint // never wrapped: it does not leave the package
	return is
}

// listPlain reads the list of the distribution API. gcr.io and Artifact Registry include the
// digests of the tags in the same answer; images, if it is not nil, is then called with them.
func (r *Lister) listPlain(ctx context.Context, s *sieve, images func([]Manifest) error) error {
	var told []Manifest
	digests := map[string]oci.Listed{}
	kind := r.Host.Kind()
	l := &list{
		host:   r.Host,
		key:    "tags",
		call:   r.Call("list tags of", http.MethodGet, "/tags/list", r.Repo.String()),
		valid:  func(tag string) bool { return ref.Tag(tag) == nil },
		paging: &r.taught.tags,
		odd:    &s.odd,
	}
	l.begin = func() { told = nil; clear(digests) }
	l.also = func(member string, dec *json.Decoder) (err error) {
		if member != "manifest" {
			return skip(dec)
		}
		told, err = readMap(dec, l.call)
		return err
	}
	l.paged = func() error {
		for _, m := range told {
			for _, tag := range m.Tags {
				digests[tag] = oci.Listed{
					Tag:        tag,
					Descriptor: oci.Descriptor{Digest: m.Digest},
					Updated:    m.Updated,
					Created:    m.Created,
				}
			}
		}
		switch {
		case len(told) > 0:
			r.taught.learnDigests()
		case len(s.seen.seen) == 0 && r.Host.Kind() != kind && r.bulk() != nil:
			return errLearned{}
		}
		if images != nil {
			return images(told)
		}
		return nil
	}
	l.visit = func(tag string) error {
		one, known := digests[tag]
		if !known {
			one.Tag = tag
		}
		_, err := s.show([]oci.Listed{one})
		return err
	}
	return l.run(ctx)
}

// readMap parses the map from digests to images in the tags/list of gcr.io.
func readMap(dec *json.Decoder, c *wire.Call) ([]Manifest, error) {
	t, err := dec.Token()
	switch {
	case err != nil:
		return nil, notJSON(err)
	case t == json.Delim('['):
		return nil, leave(dec) // another member of the same name
	case t != json.Delim('{'):
		return nil, nil
	}
	var all []Manifest
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, notJSON(err)
		}
		var entry struct {
			MediaType string   `json:"mediaType"`
			Tags      []string `json:"tag"`
			Size      string   `json:"imageSizeBytes"`
			Created   string   `json:"timeCreatedMs"`
			Uploaded  string   `json:"timeUploadedMs"`
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, notJSON(err)
		}
		name, _ := t.(string)
		if json.Unmarshal(raw, &entry) != nil || digestOf(name) == "" {
			continue // an unknown extension
		}
		if len(all) == maxRows {
			return nil, c.Fault(fault.TooLarge, "", fmt.Errorf("more than %d manifests in a page", maxRows))
		}
		all = append(all, Manifest{
			Descriptor: oci.Descriptor{Digest: digestOf(name), MediaType: reason.Clean(entry.MediaType)},
			Tags:       entry.Tags, Total: number(entry.Size), Created: moment(entry.Created), Updated: moment(entry.Uploaded)})
	}
	_, err = dec.Token()
	return all, err
}

// list reads the pages of one list (distribution-spec v1.1.1 §Content Discovery). Either it shows all
// names, or it returns an error.
type list struct {
	host   *ask.Host
	call   *wire.Call
	key    string
	paging *paging
	valid  func(string) bool
	visit  func(string) error
	odd    *oddities // what is not valid
	// also reads the other members of a page. If it is nil, they are skipped.
	also func(member string, dec *json.Decoder) error
	// begin is called before a page is read, again for each attempt. It may be nil.
	begin func()
	// paged is called after a page was read and before its names are visited. It may be nil.
	paged func() error

	before map[string]bool // the names of the previous page
	shown  *marks          // the names of all pages
	own    bool            // the next page was requested although the registry named none
	guess  bool            // own, and nothing but the length of the page speaks for a next page
}

func (l *list) run(ctx context.Context) error {
	l.host.Takes(l.call)
	c := *l.call
	asked := newMarks()
	l.shown = newMarks()
	strays := 0
	for range maxPages {
		page, a, err := l.ask(ctx, &c)
		switch {
		case err != nil:
			return err
		case a.Status != http.StatusOK:
			l.paging.learn(func(p *paging) { p.noLast = true })
			return nil
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
			return c.Fault(fault.Refused, repeatsHint, errors.New("the list repeats itself"))
		}
		next, err := l.next(ctx, a, page, fresh)
		if err != nil || next == nil {
			return err
		}
		if !asked.add(next.String()) {
			return c.Fault(fault.Refused, repeatsHint, errors.New("the list repeats itself"))
		}
		c.URL = next
	}
	return c.Fault(fault.TooLarge, "", fmt.Errorf("more than %d pages", maxPages))
}

// ask requests the page at c.URL or, if that is nil, the first page. Some registries refuse a number of
// names above a limit of their own (400 PAGINATION_NUMBER_INVALID): ask then leaves the number out. The
// answer is a 200, or what refuses a page that dray only guessed.
func (l *list) ask(ctx context.Context, c *wire.Call) (page []string, a *wire.Answer, err error) {
	c.Take = func(body io.Reader) (err error) {
		page, err = l.read(body)
		return err
	}
	if c.URL == nil && c.Query == "" && !l.paging.withoutCount() {
		c.Query = count(pageSize)
	}
	ok := []int{http.StatusOK, http.StatusBadRequest, http.StatusUnprocessableEntity}
	if l.guess {
		ok = append(ok, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented)
	}
	a, err = l.host.Do(ctx, c, ok...)
	if err == nil && a.Status != http.StatusOK && withoutCount(c) {
		if a, err = l.host.Do(ctx, c, ok...); err == nil && a.Status == http.StatusOK {
			l.paging.learn(func(p *paging) { p.noCount = true })
		}
	}
	if err == nil && a.Status != http.StatusOK && !l.guess {
		err = c.Named(l.host.Refusal(c, a))
	}
	return page, a, err
}

func count(n int) string { return fmt.Sprintf("n=%d", n) }

// withoutCount removes the number of names from a request, and reports whether it had one.
func withoutCount(c *wire.Call) bool {
	if c.URL == nil {
		had := c.Query != ""
		c.Query = ""
		return had
	}
	q := c.URL.Query()
	if !q.Has("n") {
		return false
	}
	q.Del("n")
	u := *c.URL
	u.RawQuery = q.Encode()
	c.URL = &u
	return true
}

// read parses the names of one page while it arrives.
func (l *list) read(body io.Reader) (page []string, err error) {
	if l.begin != nil {
		l.begin()
	}
	told := false
	err = readPage(l.call, body, func(body io.Reader) error {
		err := members(body, func(member string, dec *json.Decoder) (err error) {
			switch {
			case member == l.key:
				told = true
				return texts(dec, member, func(name string) error {
					if len(page) == maxNames {
						return l.call.Fault(fault.TooLarge, "", fmt.Errorf("more than %d names in a page", maxNames))
					}
					page = append(page, name)
					return nil
				})
			case member == "errors":
				return refusals(dec)
			case l.also != nil:
				return l.also(member, dec)
			}
			return skip(dec)
		})
		if err == nil && !told {
			err = notListed(l.key)
		}
		return err
	})
	return page, err
}

// show visits the names of one page. fresh is the number of names, valid or not, that were on no page.
func (l *list) show(page []string) (fresh int, err error) {
	here := map[string]bool{}
	for _, name := range page {
		if here[name] {
			continue
		}
		here[name] = true
		if !l.valid(name) {
			if l.odd.add(name) {
				fresh++
			}
			continue
		}
		if l.before[name] {
			continue
		}
		if l.shown.add(name) {
			fresh++
		}
		if err := l.visit(name); err != nil {
			return fresh, err
		}
	}
	l.before = here
	return fresh, nil
}

// next returns the URL of the next page, or nil if there is none. If a page that may have been cut has
// no Link, it continues after the page's last name, because some registries and proxies leave Link out.
func (l *list) next(ctx context.Context, a *wire.Answer, page []string, fresh int) (*url.URL, error) {
	if l.own && fresh > 0 {
		l.paging.learn(func(p *paging) { p.cut = true })
	}
	l.own, l.guess = false, false
	if to := link.Next(a.Header); to != "" {
		l.paging.learn(func(p *paging) { p.links, p.longest = true, max(p.longest, len(page)) })
		return l.linked(ctx, a, to)
	}
	if fresh == 0 || len(page) == 0 {
		return nil, nil
	}
	switch l.paging.doubts(len(page), len(page) >= pageSize) {
	case believe:
		return nil, nil
	case inquire:
		if l.writesLinks(ctx, len(page)) {
			return nil, nil
		}
	case guess:
		l.guess = true
	}
	l.own = true
	last := url.Values{"last": {page[len(page)-1]}}
	if !l.paging.withoutCount() {
		last.Set("n", strconv.Itoa(pageSize))
	}
	return l.at(ctx, last)
}

// writesLinks finds out whether the registry writes a Link to a page that it cuts: it requests half of
// the n names of the first page.
func (l *list) writesLinks(ctx context.Context, n int) bool {
	if l.paging.inquiry.Enter(ctx) != nil {
		return false
	}
	defer l.paging.inquiry.Leave()
	if links, known := l.paging.known(); known {
		return links
	}
	c := *l.call
	c.Query = count(n / 2)
	page, a, err := (&list{host: l.host, key: l.key, paging: l.paging, call: l.call}).ask(ctx, &c)
	if err != nil {
		return false
	}
	links, deaf := link.Next(a.Header) != "", len(page) >= n
	l.paging.learn(func(p *paging) {
		p.links, p.cut, p.deaf = p.links || links, p.cut || !links && !deaf, deaf && !links
	})
	return links
}

// linked returns the URL of the next page that a Link names. A registry behind a path prefix may leave
// the prefix out: then only the position counts, as parameters of the path that answered.
func (l *list) linked(ctx context.Context, a *wire.Answer, to string) (*url.URL, error) {
	u, err := following(ctx, l.host, l.call, a, to)
	if err != nil || strings.TrimSuffix(u.Path, "/") == l.call.Path {
		return u, err
	}
	q := url.Values{}
	for _, key := range []string{"last", "n"} {
		if v := u.Query().Get(key); v != "" {
			q.Set(key, v)
		}
	}
	if !q.Has("last") {
		cause := fmt.Errorf("the link to the next page leads to another list, %s", reason.Clean(u.Path))
		return nil, l.call.Fault(fault.Refused, "", cause)
	}
	return l.at(ctx, q)
}

// at returns the URL of the list with the parameters q.
func (l *list) at(ctx context.Context, q url.Values) (*url.URL, error) {
	origin, err := l.host.Origin(ctx)
	if err != nil {
		return nil, err
	}
	origin.Path, origin.RawQuery = l.call.Path, q.Encode()
	return origin, nil
}
