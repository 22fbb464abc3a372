package arm_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/access"
)

func TestARegistryTellsItsTokensItsScopeMapsAndItsLogin(t *testing.T) {
	b := start(t, options{workers: "none"})
	root, other := b.newToken("root", access.Admin), b.newToken("other", access.Reader)
	for token, want := range map[string]int{root: 3, other: 1} {
		r := b.send(token, "GET", registry+"labeu/tokens"+version, nil)
		if all, _ := r.body["value"].([]any); r.StatusCode != 200 || len(all) != want || !strings.Contains(r.raw, `"scopeMapId"`) || strings.Contains(r.raw, token) {
			t.Errorf("%d tokens, want %d: %s", len(all), want, r.raw)
		}
	}
	if r := b.send(other, "GET", registry+"labeu/tokens/nobody"+version, nil); r.StatusCode != 404 || r.code() != "ResourceNotFound" {
		t.Error(r.raw)
	}
	if r := b.send(b.token, "GET", registry+"labeu/scopeMaps"+version, nil); !strings.Contains(r.raw, `"name":"submitter"`) {
		t.Error(r.raw)
	}
	if r := b.send(b.token, "GET", registry+"labeu/scopeMaps/reader"+version, nil); r.text("name") != "reader" {
		t.Error(r.raw)
	}
	r := b.send(b.token, "POST", registry+"labeu/listCredentials"+version, nil)
	list, _ := r.body["passwords"].([]any)
	if r.text("username") != "ci" || len(list) != 1 {
		t.Fatal(r.raw)
	}
	text, _ := list[0].(map[string]any)["value"].(string)
	if r := b.send(text, "GET", "/acr/v1/_catalog", nil); r.StatusCode != 200 {
		t.Error(r.raw)
	}
	if r := b.send(b.token, "GET", registry+"labeu"+version, nil); !strings.Contains(r.raw, `"adminUserEnabled":true`) {
		t.Error(r.raw)
	}
	if r := b.send(b.token, "GET", registry+"production"+version, nil); !strings.Contains(r.raw, `"adminUserEnabled":false`) {
		t.Error("the login of this server is offered for another host:", r.raw)
	}
}

func TestWhatDrayLacksIsSaidInOneLineAtOnce(t *testing.T) {
	b := start(t, options{workers: "none"})
	for _, kind := range []string{"replications", "webhooks", "cacheRules", "credentialSets", "tasks", "runs", "agentPools", "connectedRegistries", "privateEndpointConnections"} {
		if r := b.send(b.token, "GET", registry+"labeu/"+kind+version, nil); r.StatusCode != 200 || r.raw != `{"value":[]}` {
			t.Error(kind, r.StatusCode, r.raw)
		}
		for method, path := range map[string]string{"PUT": "/x", "GET": "/x", "DELETE": "/x", "PATCH": "/x"} {
			r := b.send(b.token, method, registry+"labeu/"+kind+path+version, "{}")
			message, _ := r.body["error"].(map[string]any)["message"].(string)
			if r.StatusCode != 404 || r.Header.Get("X-Ms-Error-Code") != r.code() || !strings.HasPrefix(message, "dray ") || strings.Contains(message, "\n") {
				t.Error(method, kind, r.StatusCode, r.raw)
			}
		}
	}
	for path, want := range map[string]string{
		"PUT labeu": "configuration", "PATCH labeu": "configuration", "DELETE labeu": "configuration", "POST labeu/scheduleRun": "no tasks",
		"POST labeu/generateCredentials": "token create", "PUT labeu/tokens/x": "token create", "DELETE labeu/scopeMaps/x": "server.policy", "POST labeu/regenerateCredential": "token create",
		"POST labeu/nonsense": "dray supports only",
	} {
		method, path, _ := strings.Cut(path, " ")
		if r := b.send(b.token, method, registry+path+version, "{}"); r.StatusCode != http.StatusNotFound || !strings.Contains(r.raw, want) || r.code() != "InvalidResourceOperation" {
			t.Error(method, path, r.StatusCode, r.raw)
		}
	}
	if r := b.send(b.token, "GET", "/providers/Microsoft.ContainerRegistry/operations"+version, nil); !strings.Contains(r.raw, "importImage/action") {
		t.Error(r.raw)
	}
}

// docker with an identity token, and oras --identity-token, ask where the challenge of /v2/ sends them.
func TestAnIdentityTokenIsTradedWhereTheChallengeSaysSo(t *testing.T) {
	b := start(t, options{workers: "none", rules: []access.Rule{{Principals: []string{"ci"}, Verbs: []string{"push"}, Targets: []string{"**/team/**"}, Rights: []string{access.Create}}}})
	refresh := b.form("/oauth2/exchange", "grant_type", "access_token", "service", b.host, "access_token", b.token).text("refresh_token")
	form := func(scope string) reply {
		return b.form("/v2/token", "grant_type", "refresh_token", "service", "dray", "client_id", "docker", "scope", scope, "refresh_token", refresh)
	}
	token := form("repository:team/app:pull,push repository:other/app:pull").text("access_token")
	if r := b.send(token, "GET", "/acr/v1/_catalog", nil); token == "" || r.StatusCode != 200 {
		t.Error(r.raw)
	}
	for scope, want := range map[string]int{
		"": 200, "repository:team/app:pull": 200, "repository:team/app:metadata_write,push": 401, "registry:catalog:*": 200, "artifact-repository:repo:pull": 200,
		"repository:team/app:delete": 401, "repository:secret:pull,push": 401, "repository:team/app:metadata_write": 401, "repository:team/app:delete,metadata_read": 401,
	} {
		if r := form(scope); r.StatusCode != want || want == 401 && !strings.Contains(r.raw, "no rule grants") {
			t.Errorf("%s: %d %s", scope, r.StatusCode, r.raw)
		}
	}
}
