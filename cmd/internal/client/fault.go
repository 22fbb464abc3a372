package client

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// faultOf returns the error of an answer as a fault, with the Kind, text and hint of the problem in
// body. If body is no problem of a dray server, the Kind depends on the status.
func faultOf(status int, header http.Header, body []byte) error {
	var p wire.Problem
	if json.Unmarshal(body, &p) != nil || p.Kind == "" {
		answer := strconv.Itoa(status) + " " + http.StatusText(status)
		p = wire.Problem{Kind: wire.KindOf(status), Detail: "the server answers " + answer}
		if p.Kind == "" {
			p.Kind = fault.Unavailable
			if status < http.StatusInternalServerError {
				p.Kind, p.Hint = fault.Invalid, "check that this is the address of a dray server"
			}
		}
	}
	told := &plan.Problem{Kind: p.Kind, Side: p.Side, Message: wire.OneLine(p.Detail), Hint: wire.OneLine(p.Hint)}
	return &fault.Fault{Kind: p.Kind, Side: p.Side, Hint: p.Hint, Err: told.Err(), RetryAfter: retryAfter(header)}
}

func retryAfter(h http.Header) time.Duration {
	n, err := strconv.ParseUint(h.Get("Retry-After"), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}
