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
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/ask"
	"github.com/drayage/dray/internal/remote/link"
	"github.com/drayage/dray/internal/remote/wire"
)

// pages reads a list that a registry offers in addition to the distribution API, as JSON pages of
// rows. It tolerates as many irregularities as list does. Anything else is Refused, and the plain
// list serves as the fallback.
type pages[T any] struct {
	host *ask.Host
	call *wire.Call
	key  string // the member that holds the rows; "" if the page itself is the array
	// sign is a member that a list without rows has, although it leaves key out. It may be "".
	sign string

	show func(rows []T) (fresh int, err error)
	// next returns what a page says about the next one, in addition to Link: a URL, a query, or "".
	// It may be nil.
	next func(page[T]) string
	// full is the number of rows that were requested. If a page without a Link has that many, beyond
	// returns the query for the page after it. 0 means that next always tells.
	full   int
	beyond func(page[T]) string
}

// page is one page, and what it says about the next one.
type page[T any] struct {
	number int // of this page, starting with 1
	rows   []T
	next   string // the member "next", if it is a string
	more   bool   // the member "has_additional"
}

// run reads all pages. unknown is true if the registry says that the repository does not exist.
func (l *pages[T]) run(ctx context.Context) (unknown bool, err error) {
	l.host.Takes(l.call)
	c := *l.call
	at := page[T]{}
	c.Take = func(body io.Reader) error {
		fresh := page[T]{number: at.number}
		if err := readPage(&c, body, func(body io.Reader) error { return l.read(body, &fresh) }); err != nil {
			return err
		}
		at = fresh
		return nil
	}
	asked := newMarks()
	strays := 0
	for at.number = 1; at.number <= maxPages; at.number++ {
		a, err := l.ask(ctx, &c)
		if err != nil {
			return false, err
		}
		if a.Status == http.StatusNotFound {
			return a.Says("NAME_UNKNOWN"), l.host.Refusal(&c, a)
		}
		fresh, err := l.show(at.rows)
		if err != nil {
			return false, err
		}
		if fresh > 0 {
			strays = 0
		} else if strays++; strays > maxStrays {
			return false, c.Fault(fault.Refused, repeatsHint, errors.New("the list repeats itself"))
		}
		next, err := l.following(ctx, &c, a, at)
		if err != nil || next == nil {
			return false, err
		}
		if !asked.add(next.String()) {
			return false, c.Fault(fault.Refused, repeatsHint, errors.New("the list repeats itself"))
		}
		c.URL = next
	}
	return false, c.Fault(fault.TooLarge, "", fmt.Errorf("more than %d pages", maxPages))
}

// patience is how long a host other than the registry has for its first answer. Such a host may be
// unreachable while the registry is not.
const patience = 10 * time.Second

var errSilent = errors.New("no answer in ten seconds")

// ask requests one page. A host other than the registry that has never answered gets one attempt
// and a short time.
func (l *pages[T]) ask(ctx context.Context, c *wire.Call) (*wire.Answer, error) {
	once := *c
	if once.Stay && l.host.Pulse.Never() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, patience, errSilent)
		defer cancel()
		once.Single = true
	}
	a, err := l.host.Do(ctx, &once, http.StatusOK, http.StatusNotFound)
	if err != nil && errors.Is(context.Cause(ctx), errSilent) {
		return nil, c.Fault(fault.Unavailable, "", errSilent)
	}
	return a, err
}

// following returns the URL of the next page, from Link or from what the page says. Nil means that
// there is none.
func (l *pages[T]) following(ctx context.Context, c *wire.Call, a *wire.Answer, at page[T]) (*url.URL, error) {
	to := link.Next(a.Header)
	if to == "" && l.next != nil {
		to = l.next(at)
	}
	if to == "" && l.full > 0 && len(at.rows) >= l.full {
		to = "?" + l.beyond(at) // the Link may have been lost on the way
	}
	if to == "" {
		return nil, nil
	}
	return following(ctx, l.host, c, a, to)
}

// read parses one page and skips unknown members.
func (l *pages[T]) read(body io.Reader, into *page[T]) error {
	if l.key == "" {
		dec := json.NewDecoder(body)
		return readRows(dec, "the page", &into.rows, l.call)
	}
	told := false
	err := members(body, func(member string, dec *json.Decoder) error {
		told = told || member == l.key || member == l.sign
		switch member {
		case l.key:
			return readRows(dec, member, &into.rows, l.call)
		case "errors":
			return refusals(dec)
		case "next":
			var s *string
			if err := dec.Decode(&s); err != nil {
				return notJSON(err)
			}
			if s != nil {
				into.next = *s
			}
			return nil
		case "has_additional":
			return dec.Decode(&into.more)
		}
		return skip(dec)
	})
	if err == nil && !told {
		err = notListed(l.key)
	}
	return err
}

// pageAfter returns a query with the number of the page after p.
func pageAfter[T any](query string) func(page[T]) string {
	return func(p page[T]) string { return query + "&page=" + strconv.Itoa(p.number+1) }
}
