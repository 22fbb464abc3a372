package credential

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
)

// A login for the registry, which other hints name, does not let Azure import.
func TestTheHintsOfAnIdentityForAResourceManagerHelpThere(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	env := map[string]string{"AZURE_CLIENT_ID": "ci", "AZURE_TENANT_ID": "adfs", "AZURE_CLIENT_SECRET": "x", "AZURE_AUTHORITY_HOST": s.URL}
	for _, tt := range []struct {
		http http.RoundTripper
		kind fault.Kind
		hint string
	}{
		{s.Client().Transport, fault.Denied, "az login as another identity"},
		{nil, fault.Unavailable, "trust the authority of that certificate"},
	} {
		tokens := Azure{Cloud: Cloud{Env: func(k string) string { return env[k] }, HTTP: tt.http}}.Managers()
		_, err := tokens(t.Context(), "registry.example", "https://manager.example")
		if !fault.Is(err, tt.kind) || !strings.Contains(fault.HintOf(err), tt.hint) {
			t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
		}
	}
}
