package list

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/ask"
	"github.com/drayage/dray/internal/remote/product"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/internal/remote/wire"
)

const (
	pageSize  = 1000     // names requested at once; ECR refuses more
	maxPage   = 64 << 20 // bytes of one page
	maxNames  = 1 << 20  // names in one page
	maxRows   = 1 << 16  // rows in one page
	maxPages  = 100_000
	maxStrays = 3 // successive pages without a new name that are tolerated
)

// repeatsHint is the hint for a list whose further pages have nothing new.
const repeatsHint = "check whether the proxy in front of the registry passes on the query of a request (n, last), " +
	"or name what to copy"

// readPage parses one page of a list while it arrives, up to maxPage.
func readPage(c *wire.Call, body io.Reader, read func(io.Reader) error) error {
	limited := &io.LimitedReader{R: body, N: maxPage + 1}
	b := &bounded{from: limited}
	err := read(b)
	var f *fault.Fault
	switch {
	case b.err != nil:
		return c.Fault(fault.TooLarge, "find out what answers there: no registry writes such a list", b.err)
	case limited.N == 0:
		return c.Fault(fault.TooLarge, "", fmt.Errorf("a page is longer than %d bytes", maxPage))
	case err == nil, errors.As(err, &f):
		return err
	}
	return c.Fault(fault.Refused, "find out what answers there: a proxy or a sign-in page may be in between", err)
}

// refusals reads the member "errors" of a page. Some servers answer 200 with an error in the body
// (distribution-spec v1.1.1 §Error Codes), and such a page is no list.
func refusals(dec *json.Decoder) error {
	switch t, err := dec.Token(); {
	case err != nil:
		return notJSON(err)
	case t == json.Delim('{'):
		return leave(dec)
	case t != json.Delim('['):
		return nil
	case !dec.More():
		return leave(dec)
	}
	var first json.RawMessage
	if err := dec.Decode(&first); err != nil {
		return notJSON(err)
	}
	var said struct{ Code, Message any }
	if json.Unmarshal(first, &said) != nil {
		return leave(dec)
	}
	word := func(v any) string { s, _ := v.(string); return reason.Clean(s) }
	return reason.Quote(http.StatusOK, word(said.Code), word(said.Message))
}

// notListed returns the error for a page without the member that holds the list. Such a page may be
// the answer of any server in between, and is not an empty list.
func notListed(member string) error {
	return fmt.Errorf("the answer is not a list: it has no member %q", member)
}

// members parses a page that is a JSON object. It calls each for every member; each must read the
// value of the member.
func members(page io.Reader, each func(member string, dec *json.Decoder) error) error {
	dec := json.NewDecoder(page)
	if t, err := dec.Token(); err != nil {
		return notJSON(err)
	} else if t != json.Delim('{') {
		return errors.New("the page is not a JSON object")
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

// notJSON returns the error of a page that cannot be parsed. If reading the page failed, that is the error.
func notJSON(err error) error {
	if _, ok := errors.AsType[*fault.Fault](err); ok {
		return err
	}
	return fmt.Errorf("the page is not JSON: %w", err)
}

// open reads the beginning of an array or an object. It returns false for null.
func open(dec *json.Decoder, member string, begin json.Delim) (bool, error) {
	t, err := dec.Token()
	switch {
	case err != nil:
		return false, notJSON(err)
	case t == nil:
		return false, nil
	case t != begin:
		return false, fmt.Errorf("%s is not a JSON %s", member, map[json.Delim]string{'[': "array", '{': "object"}[begin])
	}
	return true, nil
}

// texts calls each for the strings of an array. An array with anything else in it is no list of names:
// nobody can tell how many names it stands for.
func texts(dec *json.Decoder, member string, each func(string) error) error {
	if some, err := open(dec, member, '['); !some || err != nil {
		return err
	}
	for {
		t, err := dec.Token()
		if err != nil {
			return notJSON(err)
		}
		switch t := t.(type) {
		case string:
			if err := each(clip(t)); err != nil {
				return err
			}
		case json.Delim:
			if t == ']' {
				return nil
			}
			return notName(member, map[json.Delim]string{'[': "an array", '{': "an object"}[t])
		default:
			return notName(member, fmt.Sprint("the value ", cmp.Or(t, any("null"))))
		}
	}
}

// notName returns the error for an entry of a list of names that is no name.
func notName(member, found string) error {
	return fmt.Errorf("the answer is not a list of names: an entry of %q is %s, not a string", member, found)
}

// skip skips one value.
func skip(dec *json.Decoder) error {
	switch t, err := dec.Token(); {
	case err != nil:
		return notJSON(err)
	case t == json.Delim('['), t == json.Delim('{'):
		return leave(dec)
	}
	return nil
}

// leave skips the rest of the array or object that was begun.
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

func readRows[T any](dec *json.Decoder, member string, rows *[]T, c *wire.Call) error {
	if some, err := open(dec, member, '['); !some || err != nil {
		return err
	}
	for dec.More() {
		var row T
		if err := dec.Decode(&row); err != nil {
			return notJSON(err)
		}
		if len(*rows) == maxRows {
			return c.Fault(fault.TooLarge, "", fmt.Errorf("more than %d rows in a page", maxRows))
		}
		*rows = append(*rows, row)
	}
	_, err := dec.Token()
	return err
}

// following returns the URL of the page after a. It must be at the same origin.
func following(ctx context.Context, h *ask.Host, c *wire.Call, a *wire.Answer, link string) (*url.URL, error) {
	origin, err := h.Origin(ctx)
	if err != nil {
		return nil, err
	}
	u, err := h.Located(origin, a.Asked, link)
	if err != nil {
		return nil, c.Named(err)
	}
	if !wire.SameOrigin(u, origin) {
		return nil, c.Fault(fault.Refused, product.AddressHint,
			fmt.Errorf("the link to the next page leads to another host, %s", u.Host))
	}
	return u, nil
}
