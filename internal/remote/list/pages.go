package list

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/ask"
	"github.com/drayage/dray/internal/remote/wire"
)

// pages walks a list that a registry has beside the distribution API: JSON
// pages of rows. It bears no more oddity than list does: what does not fit is
// Refused, and the plain list is there to fall back on.
type pages[T any] struct {
	host *ask.Host
	call *wire.Call
	key  string // the member that holds the rows; "" where the page itself is the list

	show func(rows []T) (fresh int, err error)
	next func(page[T]) string // what a page says of the next beside Link, a URL or a query; nil and "" say nothing
}

// page is one page and what it says of the next.
type page[T any] struct {
	number int // of this page, from 1
	rows   []T
	next   string // the member of this name, where it is a text
	more   bool   // the member "has_additional"
}

// run ends with the last page. unknown is true when the registry says that there is no such repository.
func (l *pages[T]) run(ctx context.Context) (unknown bool, err error) {
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
	asked := map[string]bool{}
	strays := 0
	for at.number = 1; at.number <= maxPages; at.number++ {
		a, err := l.ask(ctx, &c)
		if err != nil {
			return false, err
		}
		if a.Status == http.StatusNotFound {
			code, _ := a.Problem()
			return code == "NAME_UNKNOWN", l.host.Refusal(&c, a)
		}
		fresh, err := l.show(at.rows)
		if err != nil {
			return false, err
		}
		if fresh > 0 {
			strays = 0
		} else if strays++; strays > maxStrays {
			return false, c.Fault(fault.Refused, "", errors.New("the list repeats itself"))
		}
		next, err := l.following(ctx, &c, a, at)
		if err != nil || next == nil {
			return false, err
		}
		if asked[next.String()] {
			return false, c.Fault(fault.Refused, "", errors.New("the list repeats itself"))
		}
		asked[next.String()] = true
		c.URL = next
	}
	return false, c.Fault(fault.TooLarge, "", fmt.Errorf("more than %d pages", maxPages))
}

// patience is how long a host beside the registry has for its first answer: it
// may be closed off where the registry is not.
const patience = 10 * time.Second

var errSilent = errors.New("no answer in ten seconds")

// ask gets one page. A host that is not the registry and never answered is tried once, and not for long.
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

// following finds the next page: by Link, else by what the page says.
func (l *pages[T]) following(ctx context.Context, c *wire.Call, a *wire.Answer, at page[T]) (*url.URL, error) {
	to := wire.NextLink(a.Header)
	if to == "" && l.next != nil {
		to = l.next(at)
	}
	if to == "" {
		return nil, nil
	}
	return following(ctx, l.host, c, a, to)
}

// read takes in one page. Members that are not known are passed over.
func (l *pages[T]) read(body io.Reader, into *page[T]) error {
	if l.key == "" {
		dec := json.NewDecoder(body)
		return readRows(dec, "the page", &into.rows, l.call)
	}
	return members(body, func(member string, dec *json.Decoder) error {
		switch member {
		case l.key:
			return readRows(dec, member, &into.rows, l.call)
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
}
