package azure

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/echo"
)

// maxTold is how many bytes of a message of Azure an error repeats. Azure puts the whole answer of the source into it.
const maxTold = 600

// problem is the error of an answer, in the forms of the resource manager: ARM RPC, "Error response content".
type problem struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	Status     string `json:"status"` // of an operation: "Succeeded", "Failed", "Canceled", "InProgress" and others
	Properties struct {
		State string `json:"provisioningState"`
	} `json:"properties"`
}

// answer is one answer of the resource manager with its body.
type answer struct {
	status int
	header http.Header
	body   []byte
	sent   *echo.Sent // what an error must not repeat
}

func (a answer) problem() problem {
	var p problem
	_ = json.Unmarshal(a.body, &p) // a body that is no JSON tells nothing
	return p
}

// text returns what the answer says about an error: "Conflict: the tag exists".
func (a answer) text() string {
	p := a.problem().Error
	if p.Code == "" {
		p.Code = a.header.Get("X-Ms-Error-Code")
	}
	code, text := a.told(p.Code), a.told(p.Message)
	switch {
	case code != "" && text != "":
		return code + ": " + text
	case code+text != "":
		return code + text
	case a.status == http.StatusOK:
		return "the operation ended with the status " + strconv.Quote(a.told(a.problem().ended()))
	}
	return "status " + strconv.Itoa(a.status) + " " + http.StatusText(a.status)
}

// told returns a text of the answer in one line, without secrets and without what would steer a terminal.
func (a answer) told(s string) string {
	unseen := func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }
	text := strings.Join(strings.FieldsFunc(a.sent.Cut(s), unseen), " ")
	if len(text) <= maxTold {
		return text
	}
	cut := maxTold
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// ended returns the state that the body has for an operation; "" if it has none.
func (p problem) ended() string {
	if p.Status != "" {
		return p.Status
	}
	return p.Properties.State
}

// importRight is what an identity needs to import. AcrPush does not have it (Azure/acr#237).
const importRight = "Microsoft.ContainerRegistry/registries/importImage/action"

// refused returns the error of a request that the resource manager did not accept.
func (a answer) refused(op, name string) error {
	f := &fault.Fault{Kind: fault.Refused, Side: fault.Target, Op: op, Name: name, Err: errors.New("azure: " + a.text())}
	switch code := a.problem().Error.Code; {
	case a.status == http.StatusUnauthorized:
		f.Kind, f.Hint = fault.Denied, "log in to the tenant of the registry, as with az login --tenant"
	case a.status == http.StatusForbidden:
		f.Kind, f.Hint = fault.Denied, "give the identity the right "+importRight+" at the registry"
	case a.status == http.StatusNotFound:
		f.Kind, f.Hint = fault.NotFound, "check azure.resource-id of the registry in the configuration"
	case a.status == http.StatusConflict && code == "Conflict":
		f.Kind = fault.Conflict
	case a.status == http.StatusTooManyRequests:
		f.Kind, f.RetryAfter = fault.Throttled, a.retryAfter(0)
	case a.status >= 500 || a.status == http.StatusRequestTimeout:
		f.Kind = fault.Unavailable
	}
	return f
}

// failed returns the error of an import that Azure accepted and did not carry out. The causes are those that users of
// Azure reported; it has one code for most of them.
func (a answer) failed(op, name string) error {
	text := a.text()
	f := &fault.Fault{Kind: fault.Refused, Side: fault.Target, Op: op, Name: name, Err: errors.New("azure: " + text)}
	says := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(strings.ToLower(text), w) {
				return true
			}
		}
		return false
	}
	switch {
	case a.problem().Error.Code == "Conflict" && says("already exists"):
		f.Kind = fault.Conflict
	case a.status == http.StatusNotFound, says("manifestunknown", "manifest_unknown", "not found", "name_unknown"):
		f.Kind, f.Side = fault.NotFound, fault.Source
	case says("unauthorized", "denied", "forbidden"):
		f.Kind, f.Side, f.Hint = fault.Denied, fault.Source, "Azure must be able to read the source: "+
			"check the login for it, or the rights of the identity there"
	case says("quota", "storage limit"):
		f.Kind = fault.Full
	case says("toomanyrequests", "rate limit"):
		f.Kind, f.Side = fault.Throttled, fault.Source
	case says("canceled"), says("unavailable", "timeout", "timed out", "could not be reached", "no such host"):
		f.Kind, f.Side = fault.Unavailable, fault.Source
	}
	return f
}

// maxSeconds is the most seconds that an answer may ask to wait; more counts as this.
const maxSeconds = 365 * 24 * 3600

// retryAfter returns how long the answer asks to wait, or def if it does not say it. The resource manager has seconds
// or a date (RFC 9110 §10.2.3); Azure's SDKs also read milliseconds.
func (a answer) retryAfter(def time.Duration) time.Duration {
	for _, name := range []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
		if n, err := strconv.ParseUint(a.header.Get(name), 10, 32); err == nil {
			return time.Duration(n) * time.Millisecond
		}
	}
	text := a.header.Get("Retry-After")
	if n, err := strconv.ParseUint(text, 10, 63); err == nil {
		return time.Duration(min(n, maxSeconds)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return def
}
