package reason

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/product"
)

// KindOf returns the Kind of error that an answer means. code and text are those of Problem. An answer is Invalid
// only if the registry finds the name or the tag wrong. What it does not do otherwise is no fault of the request.
func KindOf(status int, code, text string) fault.Kind {
	words := strings.ToLower(code + " " + text)
	switch {
	case status == http.StatusTooManyRequests,
		strings.Contains(words, "toomanyrequests") && status >= 400 && status < 500:
		return fault.Throttled // Google's 429 speaks of a quota, too
	case status == http.StatusInsufficientStorage, status >= 400 && product.SaysFull(code+" "+text):
		return fault.Full
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
	case status == http.StatusBadRequest && (code == "NAME_INVALID" || code == "TAG_INVALID"):
		return fault.Invalid
	case status == http.StatusNotImplemented, status == http.StatusHTTPVersionNotSupported, status < 500:
		return fault.Refused
	}
	return fault.Unavailable
}

// Quote returns an error that repeats what the registry answered.
func Quote(status int, code, text string) error {
	said := strings.TrimSpace(strings.Trim(code+": "+text, ": "))
	said = strings.TrimPrefix(said, strconv.Itoa(status)+" ") // as in the title of an error page
	if said == "" {
		if status == http.StatusNotFound {
			return errors.New("no such tag or repository, or this login may not see it")
		}
		return fmt.Errorf("the registry answers %d %s", status, http.StatusText(status))
	}
	return fmt.Errorf("the registry answers %d %s", status, said)
}

// Problems are the errors in the body of an answer, each once.
type Problems []problem

// problem is one error in the body of an answer.
type problem struct{ code, text string }

// ProblemsOf returns the errors in the body raw. The body of a token service or of a storage, plain
// text, and the title of a web page are one error, which has a code only if it is one of OAuth.
func ProblemsOf(h http.Header, raw []byte) Problems {
	var body struct {
		Errors []struct {
			Code    any `json:"code"`
			Message any `json:"message"`
			Detail  any `json:"detail"`
		} `json:"errors"`
		Details any `json:"details"` // of token services
		Message any `json:"message"`
		Error   any `json:"error"`  // of proxies and of APIs that are not a registry's; RFC 6749 §5.2
		Detail  any `json:"detail"` // RFC 9457
		Title   any `json:"title"`

		Description any `json:"error_description"` // RFC 6749 §5.2
	}
	if json.Unmarshal(raw, &body) != nil {
		return textOf(h, raw)
	}
	word := func(v any) string {
		if inner, ok := v.(map[string]any); ok {
			v = inner["message"]
		}
		s, _ := v.(string)
		return Clean(hide(s))
	}
	var all Problems
	for _, e := range body.Errors {
		p := problem{word(e.Code), word(e.Message)}
		detail := cmp.Or(word(e.Detail), word(ofStorage(e.Detail)))
		if detail != "" && (p.code == "UNKNOWN" || p.text == "") {
			p.text = detail // the message is "unknown error"
		}
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		p := problem{text: cmp.Or(word(body.Details), word(body.Description), word(body.Message), word(body.Detail),
			word(body.Title))}
		if said := word(body.Error); strings.Contains(said, " ") {
			p.text = cmp.Or(p.text, said)
		} else {
			p.code = said
		}
		all = Problems{p}
	}
	return all
}

// ofStorage returns what distribution's storage says in the detail of an error, "" if it is none: 3.x has a text, and
// 2.x the number of an error of Linux.
func ofStorage(detail any) any {
	of, _ := detail.(map[string]any)
	if text, ok := of["detail"]; ok && of["driver"] != nil {
		return text
	}
	inner, _ := of["Enclosed"].(map[string]any)
	switch inner["Err"] {
	case 28.0: // ENOSPC
		return "no space left on device"
	case 122.0: // EDQUOT
		return "disk quota exceeded"
	}
	return ""
}

// HasErrors reports whether the body raw is a list of errors (distribution-spec v1.1.1 §Error Codes)
// that is not empty.
func HasErrors(raw []byte) bool {
	var body struct {
		Errors []json.RawMessage `json:"errors"`
	}
	return json.Unmarshal(raw, &body) == nil && len(body.Errors) > 0
}

// IsForeign reports whether the body raw is not one that a registry writes to refuse a request.
func IsForeign(raw []byte) bool { return len(bytes.TrimSpace(raw)) > 0 && !HasErrors(raw) }

// maxQuoted is the largest number of errors in a body that are quoted.
const maxQuoted = 3

// Quoted returns the code of the first error, and the text of all: that of the first, and code and
// text of the others. Both are "" if there is none.
func (all Problems) Quoted() (code, text string) {
	if len(all) == 0 {
		return "", ""
	}
	var said []string
	if all[0].text != "" {
		said = append(said, all[0].text)
	}
	for _, p := range all[1:min(len(all), maxQuoted)] {
		said = append(said, strings.Trim(p.code+": "+p.text, ": "))
	}
	if len(all) > maxQuoted {
		said = append(said, fmt.Sprintf("and %d more errors", len(all)-maxQuoted))
	}
	return all[0].code, strings.Join(said, "; ")
}

// Have reports whether one of the errors has one of the codes.
func (all Problems) Have(codes ...string) bool {
	return slices.ContainsFunc(all, func(p problem) bool { return slices.Contains(codes, p.code) })
}

// textOf returns what a body that is not JSON says: the title of a web page, the code and the message
// of a storage (S3, Azure, Google), or plain text.
func textOf(h http.Header, raw []byte) Problems {
	switch {
	case IsMarkup(h, raw):
		return one("", html.UnescapeString(element(raw, "title")))
	case bytes.HasPrefix(bytes.TrimSpace(raw), []byte("<?xml")), bytes.HasPrefix(bytes.TrimSpace(raw), []byte("<Error")):
		return one(element(raw, "Code"), html.UnescapeString(element(raw, "Message")))
	case strings.HasPrefix(h.Get("Content-Type"), "text/plain"), h.Get("Content-Type") == "":
		if utf8.Valid(raw) {
			return one("", string(raw))
		}
	}
	return nil
}

func one(code, text string) Problems {
	p := problem{Clean(code), Clean(hide(text))}
	if p == (problem{}) {
		return nil
	}
	return Problems{p}
}

// element returns the text of the first element with the name in raw, or "".
func element(raw []byte, name string) string {
	_, rest, _ := bytes.Cut(raw, []byte("<"+name+">"))
	text, _, closed := bytes.Cut(rest, []byte("</"+name+">"))
	if !closed {
		return ""
	}
	return string(text)
}
