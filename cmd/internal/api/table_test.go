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
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

func TestAFaultIsTheSameBehindTheServer(t *testing.T) {
	for kind, status := range statuses {
		was := &fault.Fault{Kind: kind, Side: fault.Target, Op: "put manifest", Name: "reg.example/app:v1", Err: &fault.Fault{Kind: kind, Op: "get token", Err: errors.New("no \n luck")}, Hint: "try this", RetryAfter: 1500 * time.Millisecond}
		p := problemOf(was)
		if p.Status != status {
			t.Fatal(p)
		}
		is := asked(t, p.write)
		want := strings.ReplaceAll(was.Error(), "\n", " ")
		var f *fault.Fault
		if !errors.As(is, &f) || f.Kind != kind || f.Side != fault.Target || is.Error() != want || fault.HintOf(is) != "try this" || f.RetryAfter != 2*time.Second {
			t.Errorf("%s\n%s (%+v)", want, is, f)
		}
	}
	// The text of an error that is not a Fault must not reach the client.
	if p := problemOf(errors.New("the DSN is postgres://u:pw@h")); strings.Contains(p.Detail, "pw") || p.Status != http.StatusInternalServerError {
		t.Errorf("%+v", p)
	}
}

// asked returns the error that the client makes of an answer.
func asked(t *testing.T, answer func(http.ResponseWriter)) error {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
	defer server.Close()
	c, err := client.New(client.Config{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.DeleteSchedule(t.Context(), "any") // a request that the client never repeats
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

func TestAPreferenceIsReadAsItsStandardSays(t *testing.T) {
	for prefer, want := range map[string]time.Duration{
		"": 0, "wait=5": 5 * time.Second, "respond-async, wait=10": 10 * time.Second, `Wait="7"`: 7 * time.Second, "wait = 3 ; x": 3 * time.Second,
		"wait": 0, "wait=-1": 0, "wait=x": 0, "wait=100000": wire.MaxWait, "return=minimal": 0, "wait=99999999999999999999": 0,
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
		handle(a, o, func(context.Context, *struct{}) (*noContent, error) { return nil, nil })
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, wire.Prefix+path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}
