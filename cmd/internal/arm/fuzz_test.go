package arm

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// Any body of a client becomes an equivalent request, or an Invalid error that contains no secret.
func FuzzWhatIsSentIsReadOrRefused(f *testing.F) {
	for _, s := range []string{
		`{"source":{"registryUri":"docker.io","sourceImage":"library/nginx:1"},"targetTags":["a:b"],"mode":"Force"}`,
		`{"source":{"resourceId":"/subscriptions/x/resourceGroups/y/providers/Microsoft.ContainerRegistry/registries/hub","sourceImage":"a@sha256:00","credentials":{"username":"u","password":"p"}}}`,
		`{"source":{"sourceImage":"a"}}`, `[]`, `null`, `{"source":{"registryUri":"u:p@h","sourceImage":"a"},"untaggedTargetRepositories":["x"]}`, `{"Source":{}}`,
	} {
		f.Add(s)
	}
	h := New(Config{Registries: []Registry{{Name: "production", Host: "prod.example"}, {Name: "hub", Host: "hub.example"}}}).(*handler)
	f.Fuzz(func(t *testing.T, body string) {
		var in parameters
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		if err := read(w, r, &in); err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Error(err)
			}
			return
		}
		req, err := h.request(in, h.all[0])
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Error(err)
			}
			return
		}
		if req.Target != "prod.example" || req.Source == "" || req.SourceRegistry == "" || strings.Contains(req.SourceRegistry, "@") || req.Overwrite != "refuse" && req.Overwrite != "update" {
			t.Errorf("%q: %+v", body, req)
		}
		if (in.Source.Credentials != nil) != (req.SourceLogin != nil) {
			t.Errorf("%q: the login of the request differs from that of the body: %+v", body, req)
		}
	})
}

// No path, whatever its case and length, breaks the router or is answered without a login.
func FuzzPaths(f *testing.F) {
	for _, s := range []string{"/subscriptions", "/subscriptions/", "/subscriptions/x/resourceGroups", "/subscriptions/x/resourceGroups/y/providers/Microsoft.ContainerRegistry/registries/hub/importImage",
		"/", "//", "/adfs/", "/adfs/x/.well-known/openid-configuration", "/oauth2", "/acr/v1/", "/acr/v1/_catalog", "/acr/v1/a/_tags/", "/tenants", "/%00", "/metadata"} {
		f.Add(s)
	}
	h := New(Config{Access: nobody(f), Registries: []Registry{{Name: "hub", Host: "hub.example"}},
		Submit: func(context.Context, access.Principal, wire.Request, string) (job.Job, bool, error) {
			panic("a request passed without a login")
		}})
	f.Fuzz(func(t *testing.T, path string) {
		for _, method := range []string{"GET", "POST"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(method, "/", strings.NewReader("{}"))
			r.URL.Path = "/" + path
			h.ServeHTTP(w, r)
			if w.Code < 200 || w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s %q: %d %s", method, path, w.Code, w.Body)
			}
		}
	})
}

// nobody returns an Access without users and tokens.
func nobody(tb testing.TB) *access.Access {
	tb.Helper()
	dir := tb.TempDir()
	db, err := store.Open(tb.Context(), "sqlite:"+filepath.Join(dir, "dray.db"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	vault, err := access.OpenVault(tb.Context(), access.KeySource{File: filepath.Join(dir, "key")})
	if err != nil {
		tb.Fatal(err)
	}
	a, err := access.Open(tb.Context(), access.Config{DB: db, Vault: vault})
	if err != nil {
		tb.Fatal(err)
	}
	return a
}
