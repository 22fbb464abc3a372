package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
)

func TestAFaultIsTheSameBehindTheServer(t *testing.T) {
	for kind, status := range statuses {
		was := &fault.Fault{Kind: kind, Side: fault.Target, Op: "put manifest", Name: "reg.example/app:v1", Err: &fault.Fault{Kind: kind, Op: "get token", Err: errors.New("no \n luck")}, Hint: "try this", RetryAfter: 1500 * time.Millisecond}
		p := problemOf(was)
		raw, err := json.Marshal(p)
		if err != nil || p.Status != status {
			t.Fatal(err, p)
		}
		is := faultOf(p.Status, p.header, raw)
		want := strings.ReplaceAll(was.Error(), "\n", " ")
		var f *fault.Fault
		if !errors.As(is, &f) || f.Kind != kind || f.Side != fault.Target || is.Error() != want || fault.HintOf(is) != "try this" || f.RetryAfter != 2*time.Second {
			t.Errorf("%s\n%s (%+v)", want, is, f)
		}
	}
	// What is not ours is not told, and an answer that is not ours has the Kind of its status.
	if p := problemOf(errors.New("the DSN is postgres://u:pw@h")); strings.Contains(p.Detail, "pw") || p.Status != http.StatusInternalServerError {
		t.Errorf("%+v", p)
	}
	for status, kind := range map[int]fault.Kind{502: fault.Unavailable, 404: fault.NotFound, 418: fault.Invalid, 599: fault.Unavailable, 401: fault.Denied} {
		if err := faultOf(status, nil, []byte("<html>")); fault.KindOf(err) != kind {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestTheDocumentedTableIsTheOneOfTheCodeAndEveryRouteIsInIt(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for kind, status := range statuses {
		if want := fmt.Sprintf("| `%s` | %d |", kind, status); !strings.Contains(text, want) {
			t.Errorf("docs/api.md lacks %s", want)
		}
	}
	document, err := Document()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method := range methods {
			if want := "`" + strings.ToUpper(method) + " " + path + "`"; !strings.Contains(text, want) {
				t.Errorf("docs/api.md lacks %s", want)
			}
		}
	}
}

func TestAClientSendsATokenOnlyWhereItIsMeantTo(t *testing.T) {
	token := credential.New("dray_x")
	for url, ok := range map[string]bool{
		"https://dray.example": true, "https://dray.example/": true, "https://dray.example" + Prefix: true, "http://127.0.0.1:5000": true, "http://localhost:5000": true,
		"http://dray.example": false, "dray.example": false, "https://u:p@dray.example": false, "ftp://x": false, "https://dray.example?x=y": false, "": false,
	} {
		c, err := NewClient(ClientConfig{URL: url, Token: token})
		if ok != (err == nil) || err != nil && !fault.Is(err, fault.Invalid) || err != nil && strings.Contains(err.Error(), ":p@") {
			t.Errorf("%q: %v", url, err)
		}
		if ok && !strings.HasSuffix(c.base, Prefix) || ok && strings.Count(c.base, Prefix) != 1 {
			t.Errorf("%q: %s", url, c.base)
		}
	}
	for _, c := range []ClientConfig{{URL: "https://x", CA: "/nothing"}, {URL: "https://x", Cert: "/nothing", Key: "/nothing"}} {
		if _, err := NewClient(c); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestAPreferenceIsReadAsItsStandardSays(t *testing.T) {
	for prefer, want := range map[string]time.Duration{
		"": 0, "wait=5": 5 * time.Second, "respond-async, wait=10": 10 * time.Second, `Wait="7"`: 7 * time.Second, "wait = 3 ; x": 3 * time.Second,
		"wait": 0, "wait=-1": 0, "wait=x": 0, "wait=100000": maxWait, "return=minimal": 0, "wait=99999999999999999999": 0,
	} {
		if got, err := waitOf(prefer); got != want || err != nil {
			t.Errorf("%q: %v %v", prefer, got, err)
		}
	}
}

func TestAnOperationThatNamesNoRoleLetsNobodyIn(t *testing.T) {
	a := &api{Config: Config{Authenticate: func(*http.Request) (access.Principal, error) {
		return access.Principal{Name: "root", Role: access.Admin, Via: access.ViaToken}, nil
	}}}
	mux := http.NewServeMux()
	a.mount(mux)
	for path, want := range map[string]int{"/forgotten": http.StatusForbidden, "/named": http.StatusNoContent} {
		o := operation{id: path[1:], method: http.MethodGet, path: path, status: http.StatusNoContent, tag: "test"}
		if path == "/named" {
			o.role = access.Admin
		}
		handle(a, o, func(context.Context, *struct{}) (*nothing, error) { return nil, nil })
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, Prefix+path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}
