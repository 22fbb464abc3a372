package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/visible"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/name"
)

// statuses is the only table that maps a Kind to an HTTP status. docs/api.md has the same table for
// users.
var statuses = map[fault.Kind]int{
	fault.Invalid:     http.StatusUnprocessableEntity,
	fault.NotFound:    http.StatusNotFound,
	fault.Denied:      http.StatusForbidden, // 401 if the caller is not authenticated
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

// problem is a wire.Problem and the headers of its answer. It implements huma.StatusError.
type problem struct {
	wire.Problem
	header http.Header
}

// problemOf returns err as an answer.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	kind := fault.KindOf(err)
	if errors.Is(err, context.DeadlineExceeded) {
		kind = fault.Unavailable
	}
	p := &problem{Problem: wire.Problem{
		Kind: kind, Status: statuses[kind], Detail: wire.Text(err), Hint: fault.HintOf(err)}}
	if f, ok := errors.AsType[*fault.Fault](err); ok {
		p.Side = f.Side
		if f.RetryAfter > 0 {
			p.set("Retry-After", strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds()))))
		}
	} else if kind == fault.Internal {
		p.Detail = "internal error" // the text of a foreign error may hold what a client must not read
	}
	if p.Status == http.StatusServiceUnavailable && p.header == nil {
		p.set("Retry-After", "1")
	}
	p.Title = http.StatusText(p.Status)
	return p
}

func (p *problem) set(name, value string) {
	if p.header == nil {
		p.header = http.Header{}
	}
	p.header.Set(name, value)
}

// unauthorized turns a Denied problem into the answer for a caller that is not authenticated: 401
// with a challenge. It returns p.
func (p *problem) unauthorized() *problem {
	if p.Kind == fault.Denied {
		p.Status = http.StatusUnauthorized
		p.Title = http.StatusText(p.Status)
		p.set("WWW-Authenticate", access.Challenge)
	}
	return p
}

// Error, GetStatus, GetHeaders and ContentType are the methods that huma requires of an error.
// Error returns the detail.
func (p *problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status of the answer.
func (p *problem) GetStatus() int { return p.Status }

// GetHeaders returns the additional headers of the answer.
func (p *problem) GetHeaders() http.Header { return p.header }

// ContentType returns the media type of RFC 9457, whatever type the client accepts.
func (p *problem) ContentType(string) string { return "application/problem+json" }

func (p *problem) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), p.header)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(visible.NewWriter(w)).Encode(p) // an error means that the client has gone
}

const maxWrong = 100 // mistakes that an answer lists

// errorAsProblem is a huma.Transformer that replaces huma's own error by a Problem. It leaves out
// the values that huma quotes from the request, because one of them may be a password.
func (a *api) errorAsProblem(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := &problem{Problem: wire.Problem{Title: m.Title, Status: m.Status, Detail: m.Detail, Kind: wire.KindOf(m.Status)}}
	if p.Kind == "" {
		p.Kind, p.Detail = fault.Internal, "internal error"
		return p, nil
	}
	for _, e := range m.Errors {
		if e != nil && len(p.Errors) < maxWrong {
			p.Errors = append(p.Errors, a.wrong(ctx.Operation(), e))
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

// wrong returns e as a wire.Wrong. It turns huma's location "body.entries[3].source" into the JSON
// pointer "/entries/3/source". For a number, the detail is the range.
func (a *api) wrong(op *huma.Operation, e *huma.ErrorDetail) wire.Wrong {
	in, rest, _ := strings.Cut(e.Location, ".")
	w := wire.Wrong{In: in, Detail: e.Message}
	var s *huma.Schema
	if in != "body" {
		w.Name = rest
		for _, p := range op.Parameters {
			if p.In == in && p.Name == rest {
				s = p.Schema
			}
		}
	} else {
		parts := strings.FieldsFunc(rest, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
		for _, part := range parts {
			w.Pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(part)
		}
		s = a.schemaOf(op, parts)
		if s == nil && len(parts) > 0 {
			w.Detail += meant(parts[len(parts)-1], a.schemaOf(op, parts[:len(parts)-1]))
		}
	}
	switch e.Value.(type) {
	case int, int64, float64:
		if s != nil && s.Minimum != nil && s.Maximum != nil {
			what := map[string]string{huma.TypeInteger: "whole number", huma.TypeNumber: "number"}[s.Type]
			w.Detail = fmt.Sprintf("expected a %s from %.0f to %.0f", what, *s.Minimum, *s.Maximum)
		}
	}
	return w
}

// meant returns ` (did you mean "x"?)` for the property of a schema that resembles a name that it does not have, or
// "" if none does. A name as in the configuration, such as "skip-broken", resembles "skipBroken".
func meant(word string, of *huma.Schema) string {
	if of == nil || len(word) > 64 {
		return ""
	}
	plain := func(s string) string { return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(s)) }
	known := map[string]string{}
	for property := range of.Properties {
		known[plain(property)] = property
	}
	if property, same := known[plain(word)]; same {
		return fmt.Sprintf(" (did you mean %q?)", property)
	}
	for _, like := range name.Similar(plain(word), slices.Sorted(maps.Keys(known))) {
		return fmt.Sprintf(" (did you mean %q?)", known[like])
	}
	return ""
}

// schemaOf returns the schema of a part of the body of op; nil if it has none.
func (a *api) schemaOf(op *huma.Operation, parts []string) *huma.Schema {
	if op.RequestBody == nil || op.RequestBody.Content["application/json"] == nil {
		return nil
	}
	s := op.RequestBody.Content["application/json"].Schema
	for i := 0; s != nil; i++ {
		if s.Ref != "" {
			s = a.huma.OpenAPI().Components.Schemas.SchemaFromRef(s.Ref)
		}
		switch {
		case s == nil || i == len(parts):
			return s
		case s.Items != nil:
			s = s.Items
		default:
			s = s.Properties[parts[i]]
		}
	}
	return nil
}
