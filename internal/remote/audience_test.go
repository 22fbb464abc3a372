package remote_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
)

// entra issues a token that is named after the requested audience.
type entra struct{}

func (entra) RoundTrip(r *http.Request) (*http.Response, error) {
	token := "newer"
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	if strings.Contains(r.PostForm.Get("scope"), "management.azure.com") {
		token = "older"
	}
	body := fmt.Sprintf(`{"access_token":%q,"expires_in":3600}`, token)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func TestARegistryThatWantsTheOlderAudienceGetsIt(t *testing.T) {
	for _, wanted := range []string{"newer", "older"} {
		bubble(t, nil, func(b *bench) {
			b.work(b.repo)
			exchanges := 0
			for _, q := range b.r.Log() {
				if q.Path == "/oauth2/exchange" {
					exchanges++
				}
			}
			if want := map[string]int{"newer": 1, "older": 2}[wanted]; exchanges != want {
				b.Errorf("%s: %d exchanges, want %d", wanted, exchanges, want)
			}
		}, func(serve *testbed.Options, o *remote.Options) {
			serve.Host = "reg.azurecr.io"
			serve.Auth = testbed.Auth{Mode: testbed.Bearer, Dialect: testbed.ACR, Entra: map[string]string{wanted: "user"}}
			vars := map[string]string{"AZURE_CLIENT_ID": "id", "AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_SECRET": testbed.Password}
			o.Logins = credential.Chain{credential.Azure{Cloud: credential.Cloud{HTTP: entra{}, Env: func(k string) string { return vars[k] }}}.Lookup()}
			o.Default.PlainHTTP = true
		})
	}
}
