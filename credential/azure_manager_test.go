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

func TestACertificateOfAnEntraEndpointThatIsNotTrustedHasAHint(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	env := map[string]string{"AZURE_CLIENT_ID": "ci", "AZURE_TENANT_ID": "adfs", "AZURE_CLIENT_SECRET": "x", "AZURE_AUTHORITY_HOST": s.URL}
	tokens := Azure{Cloud: Cloud{Env: func(k string) string { return env[k] }}}.Managers()
	_, err := tokens(t.Context(), "registry.example", "https://manager.example")
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.HintOf(err), "trust the authority of that certificate") {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
}
