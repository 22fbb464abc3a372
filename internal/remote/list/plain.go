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

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/ask"
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
	l := &list{host: r.Host, key: "tags", call: r.Call("list tags of", http.MethodGet, "/tags/list", r.Repo.String()),
		valid: func(tag string) bool { return ref.Tag(tag) == nil }}
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
		case len(s.seen) == 0 && r.Host.Kind() != kind && r.bulk() != nil:
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
		if len(all) == maxNames {
			return nil, c.Fault(fault.TooLarge, "", fmt.Errorf("more than %d manifests in a page", maxNames))
		}
		all = append(all, Manifest{Descriptor: oci.Descriptor{Digest: digestOf(name), MediaType: wire.Clean(entry.MediaType)},
			Tags: entry.Tags, Total: number(entry.Size), Created: moment(entry.Created), Updated: moment(entry.Uploaded)})
	}
	_, err = dec.Token()
	return all, err
}

// list reads the pages of one list (distribution-spec v1.1.1 §Content Discovery).
type list struct {
	host  *ask.Host
	call  *wire.Call
	key   string
	valid func(string) bool
	visit func(string) error
	// also reads the other members of a page. If it is nil, they are skipped.
	also func(member string, dec *json.Decoder) error
	// begin is called before a page is read, again for each attempt. It may be nil.
	begin func()
	// paged is called after a page was read and before its names are visited. It may be nil.
	paged func() error

	before map[string]bool // the names of the previous page
	last   string
}

func (l *list) run(ctx context.Context) error {
	c := *l.call
	c.Query = fmt.Sprintf("n=%d", pageSize)
	var page []string
	c.Take = func(body io.Reader) (err error) {
		page, err = l.read(body)
		return err
	}
	asked := map[string]bool{}
	strays := 0
	for range maxPages {
		a, err := l.host.Do(ctx, &c, http.StatusOK)
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
			return c.Fault(fault.Refused, "", errors.New("the list repeats itself"))
		}
		next, err := l.next(ctx, &c, a, len(page), fresh)
		if err != nil || next == nil {
			return err
		}
		if asked[next.String()] {
			return c.Fault(fault.Refused, "", errors.New("the list repeats itself"))
		}
		asked[next.String()] = true
		c.URL = next
	}
	return c.Fault(fault.TooLarge, "", fmt.Errorf("more than %d pages", maxPages))
}

// read parses the names of one page while it arrives.
func (l *list) read(body io.Reader) (page []string, err error) {
	if l.begin != nil {
		l.begin()
	}
	err = readPage(l.call, body, func(body io.Reader) error {
		return members(body, func(member string, dec *json.Decoder) error {
			switch {
			case member == l.key:
				return texts(dec, member, func(name string) error {
					if len(page) == maxNames {
						return l.call.Fault(fault.TooLarge, "", fmt.Errorf("more than %d names in a page", maxNames))
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

// show visits the names of one page. fresh is the number of names that were not on the previous
// page.
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

// next returns the URL of the next page, or nil if there is none. If a full page has no Link, it
// continues after the page's last name, because some registries leave Link out.
func (l *list) next(ctx context.Context, c *wire.Call, a *wire.Answer, count, fresh int) (*url.URL, error) {
	if to := wire.NextLink(a.Header); to != "" {
		return following(ctx, l.host, c, a, to)
	}
	if count != pageSize || fresh == 0 || l.last == "" {
		return nil, nil
	}
	origin, err := l.host.Origin(ctx)
	if err != nil {
		return nil, err
	}
	origin.Path, origin.RawQuery = l.call.Path, url.Values{"n": {strconv.Itoa(pageSize)}, "last": {l.last}}.Encode()
	return origin, nil
}
