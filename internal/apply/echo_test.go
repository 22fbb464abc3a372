package apply_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// parrot is a registry with a token service. Where say is true, it answers with answer, which repeats the login.
type parrot struct {
	say    func(r *http.Request) bool
	answer func(w http.ResponseWriter, secret string)
	form   func(secret string) string // how the login is written
	said   int
	mu     sync.Mutex
}

const (
	parrotUser     = "canary-user"
	parrotPassword = "canary-7f3a91/password 7f3a91+x"
	parrotToken    = "eyJhbGciOiJFUzI1NiJ9.eyJjYW5hcnkiOiJ0b2tlbiA3ZjNhOTEifQ.Y2FuYXJ5LXNpZ25hdHVyZS03ZjNhOTE"
)

func (p *parrot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	authz := r.Header.Get("Authorization")
	switch {
	case authz == "":
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="s"`, r.Host))
		w.WriteHeader(http.StatusUnauthorized)
	case p.say(r):
		p.mu.Lock()
		p.said++
		p.mu.Unlock()
		secret := authz
		if r.URL.Path == "/token" {
			raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(authz, "Basic "))
			secret = string(raw)
		}
		p.answer(w, p.form(secret))
	case r.URL.Path == "/token":
		_ = json.NewEncoder(w).Encode(map[string]string{"token": parrotToken})
	default:
		http.NotFound(w, r)
	}
}

// places are those in which an answer repeats a login.
func places() map[string]func(w http.ResponseWriter, secret string) {
	list := func(status int) func(http.ResponseWriter, string) {
		return func(w http.ResponseWriter, secret string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]any{
				{"code": "UNKNOWN " + secret, "message": "cannot serve " + secret, "detail": secret}}})
		}
	}
	header := func(status int, key, value string) func(http.ResponseWriter, string) {
		return func(w http.ResponseWriter, secret string) {
			w.Header().Set(key, strings.NewReplacer("SECRET", strings.Map(inHeader, secret)).Replace(value))
			w.WriteHeader(status)
		}
	}
	body := func(status int, kind, text string) func(http.ResponseWriter, string) {
		return func(w http.ResponseWriter, secret string) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = fmt.Fprint(w, strings.ReplaceAll(text, "SECRET", secret))
		}
	}
	raw := func(text string) func(http.ResponseWriter, string) {
		return func(w http.ResponseWriter, secret string) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_, _ = fmt.Fprint(conn, strings.ReplaceAll(text, "SECRET", strings.Map(inHeader, secret)))
			_ = conn.Close()
		}
	}
	return map[string]func(w http.ResponseWriter, secret string){
		"401":                  list(401),
		"403":                  list(403),
		"404":                  list(404),
		"429":                  list(429),
		"500":                  list(500),
		"200 with an error":    list(200),
		"OAuth":                body(400, "application/json", `{"error":"invalid_grant","error_description":"SECRET"}`),
		"text":                 body(500, "text/plain", "bad gateway, request was SECRET"),
		"long text":            body(500, "text/plain", strings.Repeat("x ", 85)+"SECRET"),
		"a page":               body(502, "text/html", "<html><title>SECRET</title></html>"),
		"a storage":            body(403, "application/xml", "<?xml version=\"1.0\"?><Error><Code>A</Code><Message>SECRET</Message></Error>"),
		"a media type":         body(200, oci.TypeManifest, `{"mediaType":"SECRET","config":{}}`),
		"a digest":             body(200, oci.TypeManifest, `{"config":{"digest":"SECRET","size":1}}`),
		"a key":                body(200, oci.TypeManifest, `{"SECRET":1,"SECRET":2}`),
		"a digest in a header": header(200, "Docker-Content-Digest", "sha256:SECRET"),
		"a type in a header":   header(200, "Content-Type", "application/SECRET"),
		"a coding":             header(200, "Content-Encoding", "SECRET"),
		"a warning":            header(500, "Warning", `299 - "SECRET"`),
		"a path":               header(307, "Location", "/v2/SECRET"),
		"another host":         header(307, "Location", "https://SECRET.example/"),
		"a strange address":    header(307, "Location", "ftp://SECRET@x.example/SECRET"),
		"a query":              header(307, "Location", "https://x.example/?SECRET"),
		"a way to log in":      header(401, "WWW-Authenticate", `SECRET realm="x"`),
		"a realm":              header(401, "WWW-Authenticate", `Bearer realm="https://SECRET.example/SECRET"`),
		"a scope":              header(401, "WWW-Authenticate", `Bearer realm="/token",scope="SECRET",error="insufficient_scope"`),
		"a status line":        raw("HTTP/1.1 SECRET\r\n\r\n"),
		"a status":             raw("HTTP/1.1 500 SECRET\r\nContent-Length: 0\r\n\r\n"),
		"no HTTP":              raw("SECRET\r\n\r\n"),
		"a broken header":      raw("HTTP/1.1 200 OK\r\nSECRET\r\n\r\n"),
		"a broken length":      raw("HTTP/1.1 200 OK\r\nContent-Length: SECRET\r\n\r\n"),
		"a broken chunk":       raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nSECRET\r\n"),
		"a trailer":            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n0\r\nX SECRET\r\n\r\n"),
	}
}

// inHeader leaves out what cannot be in a header.
func inHeader(r rune) rune {
	if r < ' ' {
		return -1
	}
	return r
}

// forms are those in which a login is repeated.
func forms() map[string]func(secret string) string {
	basic := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	return map[string]func(string) string{
		"as it is":        func(s string) string { return s },
		"base64":          basic,
		"the first half":  func(s string) string { return basic(s)[:len(basic(s))/2] },
		"the second half": func(s string) string { return basic(s)[len(basic(s))/2:] },
		"the end":         func(s string) string { _, end, _ := strings.Cut(s, ":"); return end },
		"as in a URL":     url.QueryEscape,
		"as in HTML":      html.EscapeString,
		"in lines": func(s string) string {
			var b strings.Builder
			for i, r := range s {
				if b.WriteRune(r); i%9 == 8 {
					b.WriteString("\n")
				}
			}
			return b.String()
		},
	}
}

// plainly returns a text without spaces and escapes, in which a login can be found however it was written.
func plainly(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		s = u
	}
	s = html.UnescapeString(strings.NewReplacer(`\n`, "", `\"`, `"`, `\u0026`, "&", `\\`, `\`).Replace(s))
	return strings.ToLower(strings.Join(strings.Fields(s), ""))
}

func TestWhatARegistryRepeatsOfALoginIsInNoOutput(t *testing.T) {
	manifests := func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/") }
	tags := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/tags/list") }
	service := func(r *http.Request) bool { return r.URL.Path == "/token" }
	for where, say := range map[string]func(*http.Request) bool{"manifests": manifests, "tags": tags, "token service": service} {
		for place, answer := range places() {
			for form, write := range forms() {
				p := &parrot{say: say, answer: answer, form: write}
				t.Run(where+"/"+place+"/"+form, func(t *testing.T) { p.hear(t) })
			}
		}
	}
}

// hear runs three verbs, and looks for the login in all that they say.
func (p *parrot) hear(t *testing.T) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Second) }) // a server waits half a second before it closes a connection early
		r := testbed.Serve(t, p, testbed.Options{Wire: testbed.Pipes, Host: "reg.example:5000"})
		var mu sync.Mutex
		var out strings.Builder
		say := func(all ...any) {
			mu.Lock()
			defer mu.Unlock()
			_, _ = fmt.Fprintln(&out, all...)
		}
		d, err := dray.New(dray.Config{
			Settings: dray.Settings{PlainHTTP: true}, Dial: r.Dial, Limits: dray.Limits{Retries: 1},
			Logins: credential.Chain{func(context.Context, ref.Repo) (credential.Login, bool, error) {
				return credential.Login{User: parrotUser, Password: credential.New(parrotPassword)}, true, nil
			}},
			Requests: func(q event.Request) { say(q.Name, q.URL, q.Err, fault.HintOf(q.Err)) },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		observe := func(e event.Event) { say(e.Name, e.Text, e.Err, fault.HintOf(e.Err)) }
		plan, err := d.PlanCopy(t.Context(), dray.CopyRequest{Source: r.Host + "/app:v1", Targets: []string{"oci:" + t.TempDir() + "/x:v1"}}, observe)
		var rep dray.Report
		if err == nil {
			rep, err = d.Apply(t.Context(), plan, observe)
		}
		text, _ := json.Marshal(rep)
		say(string(text), err, fault.HintOf(err))
		for _, s := range rep.Steps {
			say(s.Err, fault.HintOf(s.Err))
		}
		err = d.ListTags(t.Context(), dray.LookRequest{Name: r.Host + "/app"}, observe, func(dray.Entry) error { return nil })
		say(err, fault.HintOf(err))
		if p.said == 0 {
			t.Fatal("nothing was repeated")
		}
		for f := err; f != nil; { // those who print only a part of an error
			inner, ok := f.(*fault.Fault) //nolint:errorlint // each level
			if !ok {
				break
			}
			f = inner.Err
			say(f)
		}
		got := plainly(out.String())
		basic := base64.StdEncoding.EncodeToString([]byte(parrotUser + ":" + parrotPassword))
		for _, secret := range []string{parrotToken, basic, parrotUser + ":" + parrotPassword, parrotPassword,
			base64.StdEncoding.EncodeToString([]byte("Bearer " + parrotToken))} {
			s := plainly(secret)
			for i := 0; i+16 <= len(s); i++ {
				if strings.Contains(got, s[i:i+16]) {
					t.Fatalf("it has %q of %q:\n%s", s[i:i+16], secret, out.String())
				}
			}
		}
	})
}
