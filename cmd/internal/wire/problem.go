package wire

import (
	"net/http"

	"github.com/drayage/dray/cmd/internal/visible"
	"github.com/drayage/dray/fault"
)

// Problem is the body of every answer that is an error. It is a problem of RFC 9457 with the fields
// of a fault.Fault.
type Problem struct {
	Title  string     `json:"title"`
	Status int        `json:"status"`
	Detail string     `json:"detail" doc:"what went wrong, in one line"`
	Kind   fault.Kind `json:"kind" doc:"the kind of error; it tells a program how to react" enum:"invalid,not_found,denied,conflict,moved,refused,too_large,full,throttled,unavailable,corrupt,canceled,internal"`
	Side   fault.Side `json:"side,omitempty" enum:"source,target"`
	Hint   string     `json:"hint,omitempty" doc:"a next step for a person"`
	Errors []Wrong    `json:"errors,omitempty" doc:"the mistakes in the request, at most 100"`
}

// VersionHeader is the header of every answer of a server. It has the version of dray.
const VersionHeader = "Dray-Version"

// WordsHeader is the header of a request whose hints call the parts of the request by the flags of dray's command
// line, with the value FlagWords. Without it, hints call them by the fields of the REST API.
const (
	WordsHeader = "Dray-Words"
	FlagWords   = "flags"
)

// Wrong is one mistake in a request.
type Wrong struct {
	Pointer string `json:"pointer,omitempty" doc:"JSON Pointer (RFC 6901) to the value in the body"`
	In      string `json:"in" enum:"body,query,path,header"`
	Name    string `json:"name,omitempty" doc:"name of the parameter"`
	Detail  string `json:"detail"`
}

// kinds gives the Kind of an answer that contains no Problem, for example one that a proxy sent.
var kinds = map[int]fault.Kind{
	http.StatusBadRequest:            fault.Invalid,
	http.StatusUnprocessableEntity:   fault.Invalid,
	http.StatusUnsupportedMediaType:  fault.Invalid,
	http.StatusNotAcceptable:         fault.Invalid,
	http.StatusMethodNotAllowed:      fault.Invalid,
	http.StatusUnauthorized:          fault.Denied,
	http.StatusForbidden:             fault.Denied,
	http.StatusNotFound:              fault.NotFound,
	http.StatusConflict:              fault.Conflict,
	http.StatusPreconditionFailed:    fault.Moved,
	http.StatusRequestEntityTooLarge: fault.TooLarge,
	http.StatusRequestTimeout:        fault.Unavailable,
	http.StatusTooManyRequests:       fault.Throttled,
	http.StatusInsufficientStorage:   fault.Full,
	http.StatusBadGateway:            fault.Unavailable,
	http.StatusServiceUnavailable:    fault.Unavailable,
	http.StatusGatewayTimeout:        fault.Unavailable,
}

// KindOf returns the Kind that fits the status of an answer without a Problem, or "" if none fits.
func KindOf(status int) fault.Kind { return kinds[status] }

// OneLine returns s on one line, with what is not seen in it escaped.
func OneLine(s string) string { return visible.Line(s) }
