package credential

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/echo"
)

const (
	askLimit  = 15 * time.Second // for one answer
	askTries  = 3                // how often a request is sent to a service that is busy
	askPause  = time.Second      // before the second try; twice as long before the third
	maxReason = 300              // maximum number of runes of an answer that an error repeats
	usualHint = "correct this source, or log in to the registry: an explicit login takes precedence"
)

var (
	errPlain    = errors.New("plain http is allowed only for loopback and link-local addresses; use https")
	errNotURL   = errors.New("not an http or https URL")
	errNoAnswer = errors.New("its answer is not the documented JSON")
)

// question is one request to a cloud.
type question struct {
	who    string // the source, for people, in the words of Login.From
	hint   string // for errors; "" means usualHint
	method string // "" means GET, or POST if there is a body
	url    string
	header map[string]string
	body   string
	hide   []string      // secrets that are removed if an error repeats the answer
	limit  time.Duration // for one answer; 0 means askLimit
	most   int64         // maximum number of bytes of the answer; 0 means maxReply
}

type reply struct {
	status int
	header http.Header
	body   []byte
}

// form returns a question that posts fields.
func form(who, to string, fields url.Values, hide ...string) question {
	return question{who: who, url: to, body: fields.Encode(), hide: hide,
		header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}
}

func (q question) fail(kind fault.Kind, err error) error {
	hint := q.hint
	if hint == "" && kind == fault.Denied {
		hint = usualHint
	}
	return &fault.Fault{Kind: kind, Op: "ask", Name: q.who, Hint: hint, Err: err}
}

// unreached returns the error for a service that gives no answer.
func (q question) unreached(err error) error {
	if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); untrusted {
		return &fault.Fault{Kind: fault.Unavailable, Op: "ask", Name: q.who, Err: err,
			Hint: "let this machine trust the authority of that certificate, and check the clock of this machine"}
	}
	return q.fail(fault.Unavailable, err)
}

// endpoint parses the URL raw and checks that a secret may be sent to it.
func endpoint(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, errNotURL
	}
	switch u.Scheme {
	case "https":
		return u, nil
	case "http":
		if ip, err := netip.ParseAddr(u.Hostname()); u.Hostname() == "localhost" || err == nil && near(ip) {
			return u, nil
		}
		return nil, errPlain
	}
	return nil, errNotURL
}

// near reports whether ip is an address of this machine or of a service on its own link. The metadata service of
// EC2 and the agent of EKS also have fixed addresses in fd00:ec2::/32.
func near(ip netip.Addr) bool {
	return ip.IsLoopback() || ip.IsLinkLocalUnicast() || netip.MustParsePrefix("fd00:ec2::/32").Contains(ip)
}

// ask sends q, again if the service is busy, and returns the last answer, whatever its status is. If there is no
// answer, the error is a Fault.
func (m *machine) ask(ctx context.Context, q question) (reply, error) {
	u, err := endpoint(q.url)
	for k, v := range q.header {
		if strings.ContainsAny(v, "\r\n\x00") {
			err = fmt.Errorf("the value of %s contains a line break", k)
		}
	}
	if err != nil {
		return reply{}, q.fail(fault.Invalid, err)
	}
	pause := askPause
	for try := 1; ; try++ {
		r, err := m.send(ctx, q, u)
		switch {
		case ctx.Err() != nil:
			return reply{}, q.fail(fault.Canceled, context.Cause(ctx))
		case err != nil:
			return reply{}, q.unreached(err)
		case try == askTries || !r.busy():
			return r, nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// send sends q once. It uses the RoundTripper directly, because an http.Client would follow redirects.
func (m *machine) send(ctx context.Context, q question, u *url.URL) (reply, error) {
	limit, most := cmp.Or(q.limit, askLimit), cmp.Or(q.most, maxReply)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errHung)
	defer cancel()
	method := q.method
	if method == "" {
		method = []string{http.MethodGet, http.MethodPost}[min(len(q.body), 1)]
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(q.body))
	if err != nil {
		return reply{}, errNotURL
	}
	for k, v := range q.header {
		req.Header.Set(k, v)
	}
	req.Header.Set("User-Agent", "dray")
	via := m.HTTP
	switch {
	case u.Scheme == "http":
		via = m.local
	case via == nil:
		via = http.DefaultTransport
	}
	res, err := via.RoundTrip(req)
	if err == nil {
		defer res.Body.Close()
		var body []byte
		if body, err = io.ReadAll(io.LimitReader(res.Body, most+1)); err == nil && int64(len(body)) <= most {
			return reply{res.StatusCode, res.Header, unmarked(body)}, nil
		}
	}
	switch {
	case err == nil:
		err = fmt.Errorf("its answer is longer than %d MiB", most>>20)
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	return reply{}, err
}

// probe sends q to a metadata service that may not exist. ok is false if there is none; it is then not asked
// again.
func (m *machine) probe(ctx context.Context, q question) (r reply, ok bool, err error) {
	u, err := url.Parse(q.url)
	if err != nil {
		return reply{}, false, q.fail(fault.Invalid, errNotURL)
	}
	m.mu.Lock()
	gone := m.absent[u.Host]
	m.mu.Unlock()
	if gone {
		return reply{}, false, nil
	}
	r, err = m.ask(ctx, q)
	if fault.Is(err, fault.Unavailable) {
		m.mu.Lock()
		m.absent[u.Host] = true
		m.mu.Unlock()
		return reply{}, false, nil
	}
	return r, err == nil, err
}

// busy reports whether it may help to send the request again later. The JSON APIs of AWS use the status 400 to
// throttle.
func (r reply) busy() bool {
	return r.status == http.StatusTooManyRequests || r.status >= 500 ||
		r.status == http.StatusBadRequest && strings.Contains(reason(r.body), "ThrottlingException")
}

// get sends q and decodes the JSON of a 200 answer into v.
func (m *machine) get(ctx context.Context, q question, v any) error {
	r, err := m.ask(ctx, q)
	if err != nil {
		return err
	}
	return q.read(r, v)
}

func (q question) read(r reply, v any) error {
	if r.status != http.StatusOK {
		return q.refused(r)
	}
	if json.Unmarshal(r.body, v) != nil { // the error of the decoder would quote the answer
		return q.fail(fault.Denied, errNoAnswer)
	}
	return nil
}

func (q question) refused(r reply) error {
	kind := fault.Denied
	if r.busy() {
		kind = fault.Unavailable
	}
	text := "HTTP " + strconv.Itoa(r.status)
	if why := clean(reason(r.body), q.hide); why != "" {
		text += ": " + why
	}
	if off := r.ahead(); kind == fault.Denied && off.Abs() > maxSkew {
		q.hint = fmt.Sprintf("set the clock of this machine, which differs by %v from that of the service",
			off.Abs().Round(time.Minute))
	}
	return q.fail(kind, errors.New(text))
}

// maxSkew is how far the clocks of a client and a cloud may differ: AWS and Entra allow five minutes.
const maxSkew = 5 * time.Minute

// ahead returns how far the clock of this machine is ahead of that of the service, if the answer says that.
func (r reply) ahead() time.Duration {
	there, err := http.ParseTime(r.header.Get("Date"))
	if err != nil {
		return 0
	}
	return time.Since(there)
}

// reason returns the reason in an error answer, from the fields that these services use. It ignores other text,
// such as the page of a proxy.
func reason(body []byte) string {
	var j struct {
		Error       json.RawMessage `json:"error"`
		Description string          `json:"error_description"`
		Message     string          `json:"message"`
		Type        string          `json:"__type"`
		Code        string          `json:"code"`
	}
	if json.Unmarshal(body, &j) == nil {
		var code, inner string
		var deep struct{ Status, Message string }
		if json.Unmarshal(j.Error, &code) != nil && json.Unmarshal(j.Error, &deep) == nil {
			code, inner = deep.Status, deep.Message
		}
		return joinSaid(code, j.Type, j.Code, inner, j.Description, j.Message)
	}
	var x struct {
		Error struct{ Code, Message string }
	}
	if xml.Unmarshal(body, &x) == nil {
		return joinSaid(x.Error.Code, x.Error.Message)
	}
	return ""
}

func joinSaid(parts ...string) string {
	var said []string
	for _, p := range parts {
		if p != "" {
			said = append(said, p)
		}
	}
	return strings.Join(said, ": ")
}

// clean returns s as one short line. It removes the secrets in hide, in each form in which a service could repeat
// them.
func clean(s string, hide []string) string {
	longest := func(a, b string) int { return len(b) - len(a) } // longest first: one secret may contain another
	for _, secret := range slices.SortedFunc(slices.Values(hide), longest) {
		if secret == "" {
			continue
		}
		forms := []string{
			secret,
			url.QueryEscape(secret),
			url.PathEscape(secret),
			base64.StdEncoding.EncodeToString([]byte(secret)),
		}
		for _, form := range forms {
			s = strings.ReplaceAll(s, form, redacted)
		}
	}
	s = new(echo.Sent).Cut(s, hide...) // in parts, or written in another way
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if r := []rune(s); len(r) > maxReason {
		s = string(r[:maxReason]) + "…"
	}
	return s
}

// number parses a positive JSON number, with or without quotes: 3599, 3599.5, "1506484173".
func number(raw json.RawMessage) (float64, bool) {
	n, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	return n, err == nil && n > 0 && n < 1e11
}

// tokenAnswer is the form in which OAuth2 services (RFC 6749 §5.1) and all metadata services return a token.
type tokenAnswer struct {
	Token string          `json:"access_token"`
	In    json.RawMessage `json:"expires_in"`
	On    json.RawMessage `json:"expires_on"`
}

// token returns the token in a. The time at which it expires comes from the first field that states it, or else
// from the token itself.
func (q question) token(a tokenAnswer) (token, error) {
	if a.Token == "" || strings.ContainsAny(a.Token, " \r\n\x00") {
		return token{}, q.fail(fault.Denied, errors.New("its answer contains no token"))
	}
	t := token{a.Token, time.Now().Add(briefLife)}
	if n, ok := number(a.In); ok {
		t.ends = time.Now().Add(time.Duration(min(n, 86400)) * time.Second)
	} else if n, ok := number(a.On); ok {
		t.ends = time.Unix(int64(n), 0)
	} else if n, ok := expClaim(a.Token); ok {
		t.ends = n
	}
	return t, nil
}

func (m *machine) getToken(ctx context.Context, q question) (token, error) {
	var a tokenAnswer
	if err := m.get(ctx, q, &a); err != nil {
		return token{}, err
	}
	return q.token(a)
}

// expClaim returns the time at which a JWT expires (RFC 7519 §4.1.4).
func expClaim(s string) (time.Time, bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return time.Time{}, false
	}
	var claims struct{ Exp json.RawMessage }
	payload, err := decodeSegment(parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return time.Time{}, false
	}
	n, ok := number(claims.Exp)
	return time.Unix(int64(n), 0), ok
}

// secretFile reads a small file that a variable or another file names. It removes the white space around the text.
func secretFile(who, path string) (string, error) {
	data, err := readFile(path)
	text := strings.TrimSpace(string(data))
	if err == nil && text == "" {
		err = errors.New(path + " is empty")
	}
	if err != nil {
		return "", &fault.Fault{Kind: fault.Denied, Op: "read for", Name: who, Hint: usualHint, Err: err}
	}
	return text, nil
}

// program runs a command and returns its output. said is what it printed to stderr, as one short line.
func (m *machine) program(ctx context.Context, who string, args ...string) (out []byte, said string, err error) {
	fail := question{who: who}.fail
	limit := m.ProgramTimeout
	if limit == 0 {
		limit = HelperTimeout
	}
	timed, cancel := context.WithTimeoutCause(ctx, limit, errHung)
	defer cancel()
	cmd := exec.CommandContext(timed, args[0], args[1:]...)
	cmd.WaitDelay = pipeGrace
	stdout, stderr := &capped{left: maxReply}, &capped{left: maxReply}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err = cmd.Run()
	said = clean(stderr.kept.String(), nil)
	switch {
	case ctx.Err() != nil:
		return nil, said, fail(fault.Canceled, context.Cause(ctx))
	case timed.Err() != nil:
		return nil, said, fail(fault.Unavailable, errHung)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return nil, said, fail(fault.Denied, err)
	case stdout.over:
		return nil, said, fail(fault.Denied, errTooLong)
	}
	return unmarked(stdout.kept.Bytes()), said, nil
}
