package azure

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

func TestAnIdentityIsThatOfTheFileAndNotThatOfTheMachine(t *testing.T) {
	var asked []string
	entra := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		asked = append(asked, r.URL.Path+" "+r.PostForm.Get("client_id")+" "+r.PostForm.Get("client_secret"))
		_ = json.NewEncoder(w).Encode(map[string]any{"token_type": "Bearer", "expires_in": 3600, "access_token": "partner"})
	}))
	t.Cleanup(entra.Close)
	env := map[string]string{
		"AZURE_AUTHORITY_HOST": entra.URL, "AZURE_TENANT_ID": "ours", "AZURE_CLIENT_ID": "machine", "AZURE_CLIENT_SECRET": "not-this",
	}
	getenv := func(name string) string { return env[name] }
	look := Identity{Tenant: "theirs", Client: "reader", SecretEnv: "PARTNER_SECRET", Where: "config.yaml:7"}.Lookup("partner.azurecr.io", getenv, "")
	partner := ref.Repo{Host: "partner.azurecr.io", Path: "app"}
	if _, _, err := look(t.Context(), partner); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "config.yaml:7") || !strings.Contains(err.Error(), "PARTNER_SECRET") {
		t.Errorf("a secret that is not set: %v", err)
	}
	env["PARTNER_SECRET"] = "hunter2"
	l, ok, err := look(t.Context(), partner)
	if err != nil || !ok || l.Scheme != credential.Exchange || l.Password.Reveal() != "partner" || l.From != "config config.yaml:7" {
		t.Errorf("%v %t %v", l, ok, err)
	}
	if len(asked) != 1 || asked[0] != "/theirs/oauth2/v2.0/token reader hunter2" {
		t.Error(asked)
	}
	if _, ok, err := look(t.Context(), ref.Repo{Host: "other.azurecr.io", Path: "app"}); ok || err != nil || len(asked) != 1 {
		t.Error(ok, err, asked)
	}
}
