package client

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
)

func TestAClientSendsItsTokenOnlyOverTLSOrToLoopback(t *testing.T) {
	token := credential.New("dray_x")
	for url, ok := range map[string]bool{
		"https://dray.example": true, "https://dray.example/": true, "https://dray.example" + wire.Prefix: true, "http://127.0.0.1:5000": true, "http://localhost:5000": true,
		"http://dray.example": false, "dray.example": false, "https://u:p@dray.example": false, "ftp://x": false, "https://dray.example?x=y": false, "": false,
	} {
		c, err := New(Config{URL: url, Token: token})
		if ok != (err == nil) || err != nil && !fault.Is(err, fault.Invalid) || err != nil && strings.Contains(err.Error(), ":p@") {
			t.Errorf("%q: %v", url, err)
		}
		if ok && !strings.HasSuffix(c.base, wire.Prefix) || ok && strings.Count(c.base, wire.Prefix) != 1 {
			t.Errorf("%q: %s", url, c.base)
		}
	}
	for _, c := range []Config{{URL: "https://x", CAs: []string{"/nothing"}}, {URL: "https://x", Cert: "/nothing", Key: "/nothing"}} {
		if _, err := New(c); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestAnAddressWithoutASchemeIsCompletedInTheHint(t *testing.T) {
	for url, want := range map[string]string{
		"127.0.0.1:7004": "write http://127.0.0.1:7004, or https:// if it uses TLS", "localhost:5000": "write http://localhost:5000, or https:// if it uses TLS",
		"dray.example": "write https://dray.example", "dray.example:5443": "write https://dray.example:5443", "ftp://x": "write https://HOST", "u:p@x": "write https://HOST", "": "write https://HOST",
	} {
		if _, err := New(Config{URL: url}); fault.HintOf(err) != want {
			t.Errorf("%q: %q", url, fault.HintOf(err))
		}
	}
}

func TestAPortThatClosesAPlainConnectionMaySpeakTLS(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.(*net.TCPConn).SetLinger(0) // resets it
			conn.Close()
		}
	}()
	c, err := New(Config{URL: "http://" + l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = c.RunSchedule(t.Context(), "x"); !strings.HasPrefix(fault.HintOf(err), "write https:// if it speaks TLS") {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
}

func TestAnAnswerOfAnotherProgramSaysWhoAnswered(t *testing.T) {
	page := "<html><head><title>\n Sign in · GitLab </title></head></html>"
	for _, tt := range []struct {
		status       int
		header, body string
		kind         fault.Kind
		want, hint   string
	}{
		{200, "Content-Type: text/html; charset=utf-8", page, fault.Invalid, `a web page "Sign in · GitLab" answers 200 OK, and no dray server`, "--server"},
		{404, "Content-Type: text/html", "<p>nothing", fault.Invalid, "a web page answers 404 Not Found, and no dray server", "--server"},
		{404, "Docker-Distribution-Api-Version: registry/2.0", "404 page not found", fault.Invalid, "a registry answers 404 Not Found, and no dray server", "--server"},
		{404, "Content-Type: application/json", `{"errors":[{"code":"NAME_UNKNOWN"}]}`, fault.Invalid, "a registry answers 404", "--server"},
		{404, wire.VersionHeader + ": v1", "404 page not found", fault.Invalid, "this port of a dray server is for health and metrics", "--server"},
		{400, "Content-Type: text/plain", "Client sent an HTTP request to an HTTPS server.\n", fault.Invalid, "it speaks TLS", "https://"},
		{302, "Location: https://sso.example/login", "", fault.Invalid, "it redirects to https://sso.example/login", "proxy"},
		{502, "Content-Type: text/html", page, fault.Unavailable, "answers 502 Bad Gateway", "proxy"},
		{401, "Content-Type: text/html", page, fault.Denied, "answers 401 Unauthorized, and no dray server", "--server"},
		{418, "", "", fault.Invalid, "something answers 418", "--server"},
		{599, "", "", fault.Unavailable, "something answers 599, and no dray server", "the dray server is running"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if name, value, ok := strings.Cut(tt.header, ": "); ok {
				w.Header().Set(name, value)
			}
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte(tt.body))
		}))
		c, err := New(Config{URL: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.RunSchedule(t.Context(), "x") // is asked once
		errs := map[string]error{"run": err}
		if tt.kind != fault.Unavailable {
			_, errs["ask"] = c.Registries(t.Context())
			for _, err := range c.Watch(t.Context(), "x", 0) {
				errs["watch"] = err
			}
		}
		for what, err := range errs {
			if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), "ask "+server.URL+": ") || !strings.Contains(err.Error(), tt.want) || !strings.Contains(fault.HintOf(err), tt.hint) {
				t.Errorf("%s, %d %s: %v (hint: %s)", what, tt.status, tt.header, err, fault.HintOf(err))
			}
		}
		server.Close()
	}
}

func TestAServerOfAnotherVersionIsSaidWhereARequestIsUnknownToIt(t *testing.T) {
	for _, tt := range []struct{ status, version, kind, hint, want string }{
		{"404", "v1.0.0", "invalid", "see /api/v1/openapi.json", "the server is dray v1.0.0, and this is dray v2.0.0: use one version for both"},
		{"422", "v1.0.0", "invalid", "", "the server is dray v1.0.0, and this is dray v2.0.0: use one version for both"},
		{"422", "v1.0.0", "invalid", "write HOST/REPO", "write HOST/REPO"},
		{"422", "v2.0.0", "invalid", "", ""},
		{"404", "v1.0.0", "not_found", "see dray jobs list", "see dray jobs list"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(wire.VersionHeader, tt.version)
			status, _ := strconv.Atoi(tt.status)
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(wire.Problem{Kind: fault.Kind(tt.kind), Detail: "no", Hint: tt.hint})
		}))
		c, err := New(Config{URL: server.URL, Version: "v2.0.0"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Registries(t.Context()); fault.HintOf(err) != tt.want {
			t.Errorf("%+v: hint %q", tt, fault.HintOf(err))
		}
		server.Close()
	}
}

func TestAProxyThatRepeatsTheTokenPutsItInNoError(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter, header string){
		"a page": func(w http.ResponseWriter, header string) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusBadGateway)
			_, _ = fmt.Fprintf(w, "<title>bad %s</title>", header)
		},
		"a problem": func(w http.ResponseWriter, header string) {
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(wire.Problem{Kind: fault.Denied, Detail: header, Hint: header})
		},
		"no HTTP": func(w http.ResponseWriter, header string) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 %s\r\n\r\n", header)
				_ = conn.Close()
			}
		},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer(w, r.Header.Get("Authorization"))
		}))
		token := "dray_abcdefghij_klmnopqrstuvwxyz234567"
		c, err := New(Config{URL: server.URL, Token: credential.New(token), From: "DRAY_TOKEN"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Registries(t.Context())
		if err == nil || strings.Contains(err.Error()+fault.HintOf(err), "klmnop") {
			t.Errorf("%s: %v (hint: %s)", name, err, fault.HintOf(err))
		}
		server.Close()
	}
}

func TestARefusedTokenIsSaidWithItsPlace(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(wire.Problem{Kind: fault.Denied, Detail: "authenticate: denied: the token has expired", Hint: "ask an admin for a new token"})
	}))
	defer server.Close()
	c, err := New(Config{URL: server.URL, Token: credential.New("dray_x"), From: "DRAY_TOKEN"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Registries(t.Context())
	if err == nil || err.Error() != "authenticate: denied: the token has expired; the token is from DRAY_TOKEN" || fault.HintOf(err) != "ask an admin for a new token" {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
}
