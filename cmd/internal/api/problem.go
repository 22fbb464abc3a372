package api

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// statuses is the one place where a Kind becomes a status; docs/api.md is the table for people.
var statuses = map[fault.Kind]int{
	fault.Invalid:     http.StatusUnprocessableEntity,
	fault.NotFound:    http.StatusNotFound,
	fault.Denied:      http.StatusForbidden, // 401 where nobody is known to ask
	fault.Conflict:    http.StatusConflict,
	fault.Moved:       http.StatusPreconditionFailed,
	fault.Refused:     http.StatusForbidden,
	fault.TooLarge:    http.StatusRequestEntityTooLarge,
	fault.Full:        http.StatusInsufficientStorage,
	fault.Throttled:   http.StatusTooManyRequests,
	fault.Unavailable: http.StatusServiceUnavailable,
	fault.Corrupt:     http.StatusBadGateway,
	fault.Canceled:    http.StatusServiceUnavailable,
	fault.Internal:    http.StatusInternalServerError,
}

// kinds is for answers that come from elsewhere than our table.
var kinds = map[int]fault.Kind{
	http.StatusBadRequest: fault.Invalid, http.StatusUnprocessableEntity: fault.Invalid, http.StatusUnsupportedMediaType: fault.Invalid,
	http.StatusNotAcceptable: fault.Invalid, http.StatusMethodNotAllowed: fault.Invalid, http.StatusUnauthorized: fault.Denied,
	http.StatusForbidden: fault.Denied, http.StatusNotFound: fault.NotFound, http.StatusConflict: fault.Conflict,
	http.StatusPreconditionFailed: fault.Moved, http.StatusRequestEntityTooLarge: fault.TooLarge, http.StatusRequestTimeout: fault.Unavailable,
	http.StatusTooManyRequests: fault.Throttled, http.StatusInsufficientStorage: fault.Full, http.StatusBadGateway: fault.Unavailable,
	http.StatusServiceUnavailable: fault.Unavailable, http.StatusGatewayTimeout: fault.Unavailable,
}

// Problem is the body of every answer that is an error: RFC 9457, with a fault's fields.
type Problem struct {
	Title  string     `json:"title"`
	Status int        `json:"status"`
	Detail string     `json:"detail" doc:"what went wrong, in one line"`
	Kind   fault.Kind `json:"kind" doc:"what can be done about it" enum:"invalid,not_found,denied,conflict,moved,refused,too_large,full,throttled,unavailable,corrupt,canceled,internal"`
	Side   fault.Side `json:"side,omitempty" enum:"source,target"`
	Hint   string     `json:"hint,omitempty" doc:"a next step for a person"`
	Errors []Wrong    `json:"errors,omitempty" doc:"what is wrong in the request"`

	header http.Header
}

// Wrong is one thing in a request that is wrong.
type Wrong struct {
	Pointer string `json:"pointer,omitempty" doc:"where in the body: RFC 6901"`
	In      string `json:"in" enum:"body,query,path,header"`
	Name    string `json:"name,omitempty" doc:"of the parameter"`
	Detail  string `json:"detail"`
}

// problemOf makes an answer of an error.
func problemOf(err error) *Problem {
	kind := fault.KindOf(err)
	if errors.Is(err, context.DeadlineExceeded) {
		kind = fault.Unavailable
	}
	p := &Problem{Kind: kind, Status: statuses[kind], Detail: err.Error(), Hint: fault.HintOf(err)}
	var f *fault.Fault
	if errors.As(err, &f) {
		p.Side = f.Side
		if f.RetryAfter > 0 {
			p.set("Retry-After", strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds()))))
		}
	} else if kind == fault.Internal {
		p.Detail = "internal error" // not in our words: it may say more than a client should read
	}
	if p.Status == http.StatusServiceUnavailable && p.header == nil {
		p.set("Retry-After", "1")
	}
	p.Title = http.StatusText(p.Status)
	return p
}

func (p *Problem) set(name, value string) {
	if p.header == nil {
		p.header = http.Header{}
	}
	p.header.Set(name, value)
}

// unknown makes p the answer for who is not known: 401, and how to say who one is.
func (p *Problem) unknown() *Problem {
	if p.Kind == fault.Denied {
		p.Status = http.StatusUnauthorized
		p.Title = http.StatusText(p.Status)
		p.set("WWW-Authenticate", access.Challenge)
	}
	return p
}

// Error, GetStatus, GetHeaders and ContentType are what huma asks of an error.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the answer's.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders are further headers of the answer.
func (p *Problem) GetHeaders() http.Header { return p.header }

// ContentType is that of RFC 9457.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

func (p *Problem) write(w http.ResponseWriter) {
	for name, values := range p.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // who has gone is not told
}

// ours replaces what huma says of a request by a Problem. Values are left out: there may be
// a password among them.
func ours(_ huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := &Problem{Title: m.Title, Status: m.Status, Detail: m.Detail, Kind: kinds[m.Status]}
	if p.Kind == "" {
		p.Kind, p.Detail = fault.Internal, "internal error"
		return p, nil
	}
	for _, e := range m.Errors {
		if e != nil {
			p.Errors = append(p.Errors, wrong(e))
		}
	}
	if len(p.Errors) > 0 {
		p.Detail += ": " + p.Errors[0].Detail
		if at := p.Errors[0].Pointer + p.Errors[0].Name; at != "" {
			p.Detail += " (" + at + ")"
		}
	}
	return p, nil
}

// wrong reads "body.entries[3].source" as a pointer, "/entries/3/source".
func wrong(e *huma.ErrorDetail) Wrong {
	in, rest, _ := strings.Cut(e.Location, ".")
	w := Wrong{In: in, Detail: e.Message}
	if in != "body" {
		w.Name = rest
		return w
	}
	for _, part := range strings.FieldsFunc(rest, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		w.Pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(part)
	}
	return w
}

// faultOf is the error that an answer was made of, as a fault of the same Kind and words.
func faultOf(status int, header http.Header, body []byte) error {
	var p Problem
	if json.Unmarshal(body, &p) != nil || p.Kind == "" {
		p = Problem{Kind: kinds[status], Detail: "the server answers " + strconv.Itoa(status) + " " + http.StatusText(status)}
		if p.Kind == "" {
			p.Kind = fault.Unavailable
			if status < http.StatusInternalServerError {
				p.Kind, p.Hint = fault.Invalid, "is this the address of a dray server?"
			}
		}
	}
	f := &fault.Fault{Kind: p.Kind, Side: p.Side, Hint: p.Hint, Err: (&plan.Problem{Kind: p.Kind, Side: p.Side, Message: clean(p.Detail), Hint: clean(p.Hint)}).Err()}
	f.RetryAfter = retryAfter(header)
	return f
}

// clean keeps what can be printed on one line.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < ' ' || r == 0x7f:
			return -1
		}
		return r
	}, s)
}
