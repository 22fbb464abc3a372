package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/drayage/dray/fault"
)

// maxErrorBody is how much of an answer is read that is not the content asked for: 64 KiB.
const maxErrorBody = 64 << 10

// proxyHint is the way out where a proxy refuses, by an answer or by refusing to connect.
const proxyHint = "put a login into the proxy's address"

// refusal turns an answer that was not hoped for into an error of the Kind that
// its status and code mean (distribution-spec v1.1.1 §Error Codes).
func (h *host) refusal(c *call, a *answer) error {
	code, text := a.problem()
	f := &fault.Fault{Kind: kindOf(a.status, code, text), Op: c.op, Name: c.name, Err: quote(a.status, code, text)}
	if saysAbsent(a.status, code) {
		f.Err = absent{f.Err}
	}
	switch {
	case a.away && a.status == http.StatusForbidden && c.lane == down:
		f.Kind = fault.Unavailable // the signature of a redirect has run out; the registry writes a new one
	case f.Kind == fault.Throttled, a.status == http.StatusServiceUnavailable:
		f.RetryAfter = parseRetryAfter(a.header.Get("Retry-After"), time.Now())
	case a.status == http.StatusProxyAuthRequired:
		f.Hint = proxyHint
	case f.Kind == fault.Denied:
		f.Hint = h.deniedHint(c, a)
	case a.status == http.StatusUnsupportedMediaType:
		f.Hint = "this registry does not take this media type; zot takes Docker's with http.compat docker2s2"
	case h.placeless(code, text) && (c.method == http.MethodPost || c.method == http.MethodPut):
		f.Hint = h.createHint()
	case isRedirect(a.status):
		f.Kind, f.Hint = fault.Refused, "name the registry by its own address"
	}
	return f
}

func kindOf(status int, code, text string) fault.Kind {
	words := strings.ToLower(code + " " + text)
	full := strings.Contains(words, "quota") || strings.Contains(words, "no space left") || strings.Contains(words, "storage limit")
	switch {
	case status == http.StatusInsufficientStorage, full && status >= 400:
		return fault.Full
	case status == http.StatusTooManyRequests, code == "TOOMANYREQUESTS" && status >= 400 && status < 500:
		return fault.Throttled
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusProxyAuthRequired:
		return fault.Denied
	case status == http.StatusNotFound, status == http.StatusGone:
		return fault.NotFound
	case status == http.StatusConflict, status == http.StatusPreconditionFailed:
		return fault.Conflict
	case status == http.StatusRequestEntityTooLarge:
		return fault.TooLarge
	case status == http.StatusRequestTimeout:
		return fault.Unavailable
	case status == http.StatusNotImplemented, status == http.StatusHTTPVersionNotSupported, status < 500:
		return fault.Invalid
	}
	return fault.Unavailable
}

// problem reads the first error of the body. Both are "" where it has none.
func (a *answer) problem() (code, text string) {
	var body struct {
		Errors []struct {
			Code    any `json:"code"`
			Message any `json:"message"`
		} `json:"errors"`
		Details any `json:"details"` // token services
		Message any `json:"message"`
	}
	if json.Unmarshal(a.raw, &body) != nil {
		if t := a.header.Get("Content-Type"); strings.HasPrefix(t, "text/plain") {
			return "", clean(string(a.raw))
		}
		return "", ""
	}
	word := func(v any) string { s, _ := v.(string); return s }
	if len(body.Errors) > 0 {
		return clean(word(body.Errors[0].Code)), clean(word(body.Errors[0].Message))
	}
	if s := word(body.Details); s != "" {
		return "", clean(s)
	}
	return "", clean(word(body.Message))
}

// clean keeps what can be printed, at most 200 characters on one line.
func clean(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:199]) + "…"
	}
	return s
}

func quote(status int, code, text string) error {
	said := strings.TrimSpace(strings.Trim(code+": "+text, ": "))
	if said == "" {
		if status == http.StatusNotFound {
			return errors.New("not there, or this login may not see it")
		}
		return fmt.Errorf("the registry answers %d %s", status, http.StatusText(status))
	}
	return fmt.Errorf("the registry answers %d %s", status, said)
}
