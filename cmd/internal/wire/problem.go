package wire

import (
	"net/http"
	"strings"

	"github.com/drayage/dray/fault"
)

// Problem is the body of every answer that is an error: RFC 9457, with a fault's fields.
type Problem struct {
	Title  string     `json:"title"`
	Status int        `json:"status"`
	Detail string     `json:"detail" doc:"what went wrong, in one line"`
	Kind   fault.Kind `json:"kind" doc:"what can be done about it" enum:"invalid,not_found,denied,conflict,moved,refused,too_large,full,throttled,unavailable,corrupt,canceled,internal"`
	Side   fault.Side `json:"side,omitempty" enum:"source,target"`
	Hint   string     `json:"hint,omitempty" doc:"a next step for a person"`
	Errors []Wrong    `json:"errors,omitempty" doc:"what is wrong in the request"`
}

// Wrong is one thing in a request that is wrong.
type Wrong struct {
	Pointer string `json:"pointer,omitempty" doc:"where in the body: RFC 6901"`
	In      string `json:"in" enum:"body,query,path,header"`
	Name    string `json:"name,omitempty" doc:"of the parameter"`
	Detail  string `json:"detail"`
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

// KindOf is the Kind of an answer that says none; "" where its status says none either.
func KindOf(status int) fault.Kind { return kinds[status] }

// OneLine keeps what can be printed on one line.
func OneLine(s string) string {
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
