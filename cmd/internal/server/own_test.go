package server_test

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
)

func TestRulesNameTheServersOwnRegistryByAnyOfItsNames(t *testing.T) {
	source := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	testbed.Random(t, source, "team/app", "v1", testbed.RandomOptions{})
	for _, name := range []string{"dray", "dray.example"} {
		t.Run(name, func(t *testing.T) {
			r := run(t, server.Config{Data: t.TempDir(), PublicURL: "https://dray.example", Htpasswd: users(t, "admin", "reader"), Roles: map[string]access.Role{"admin": access.Admin},
				Dray: dray.Config{Registries: map[string]dray.Registry{"src": plainHTTP(source)}},
				Rules: []access.Rule{
					{Principals: []string{"reader"}, Verbs: []string{"pull"}, Sources: []string{name + "/team/**"}},
					{Principals: []string{"ci"}, Verbs: []string{"import"}, Sources: []string{source.Host + "/**"}, Targets: []string{name + "/team/**"}, Rights: []string{"create"}},
				}})
			ci := r.remoteAs(r.token("ci", access.Submitter))
			local := strings.TrimPrefix(r.base, "http://")
			for i, target := range []string{"", "dray", "dray.example", local, strings.Replace(local, "127.0.0.1", "localhost", 1)} {
				if j := r.finish(ci, importing("src/team/app:v1", target, "team/app"+string(rune('a'+i))+":v1")); j.State != job.Done {
					t.Errorf("to %q: %+v", target, j.Failure)
				}
				if _, err := ci.Submit(t.Context(), importing("src/team/app:v1", target, "other/app:v1"), client.How{}); !fault.Is(err, fault.Denied) {
					t.Errorf("to another repository of %q: %v", target, err)
				}
			}
			if got := r.as("reader", "GET", "/v2/team/appa/manifests/v1", nil).StatusCode; got != 200 {
				t.Errorf("a pull that the rule grants: %d", got)
			}
			if got := r.as("reader", "GET", "/v2/other/app/manifests/v1", nil).StatusCode; got != 403 {
				t.Errorf("a pull that no rule grants: %d", got)
			}
		})
	}
}

// The configuration of a server may name its own host, for example because its clients read the same file.
func TestAnImportWithoutATargetGoesToTheOwnRegistryWhateverNamesItHas(t *testing.T) {
	source := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	testbed.Random(t, source, "team/app", "v1", testbed.RandomOptions{})
	for name, registries := range map[string]map[string]dray.Registry{
		"its host has another name":         {"hub": {Host: "dray.example"}},
		"its name is that of another one":   {"dray": {Host: "elsewhere.example"}},
		"both":                              {"dray": {Host: "elsewhere.example"}, "hub": {Host: "dray.example"}},
		"its host has its own name already": {"dray": {Host: "dray.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			registries["src"] = plainHTTP(source)
			r := run(t, server.Config{Data: t.TempDir(), PublicURL: "https://dray.example", Htpasswd: users(t, "admin"), Roles: map[string]access.Role{"admin": access.Admin}, Dray: dray.Config{Registries: registries}})
			c := r.remoteAs(r.token("boss", access.Admin))
			if j := r.finish(c, importing("src/team/app:v1", "", "app:v1")); j.State != job.Done {
				t.Fatalf("%+v", j.Failure)
			}
			if got := r.as("admin", "GET", "/v2/app/manifests/v1", nil).StatusCode; got != 200 {
				t.Error(got)
			}
		})
	}
}

// Any client can send X-Forwarded-Proto, so no answer depends on it.
func TestNoRouteTrustsAHeaderOfAProxy(t *testing.T) {
	r := run(t, server.Config{Data: t.TempDir(), Htpasswd: users(t, "admin")})
	for _, path := range []string{"/metadata/endpoints?api-version=2022-09-01", "/adfs/.well-known/openid-configuration", "/v2/", "/acr/v1/_catalog"} {
		resp := r.as("", "GET", path, nil, "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example")
		raw, _ := io.ReadAll(resp.Body)
		if all := string(raw) + strings.Join(resp.Header.Values("WWW-Authenticate"), ""); strings.Contains(all, "https://") || strings.Contains(all, "evil") {
			t.Errorf("%s: %s", path, all)
		}
	}
}

func TestATokenServiceSaysWhetherALoginIsMissingOrWrong(t *testing.T) {
	r := run(t, server.Config{Data: t.TempDir(), Htpasswd: users(t, "admin")})
	for _, path := range []string{"/v2/token", "/v2/"} {
		for header, want := range map[string]string{
			"":                                      map[string]string{"/v2/token": "the request has no login", "/v2/": "authentication required"}[path],
			"Authorization: Basic d3Jvbmc6d3Jvbmc=": "wrong user or password",
			"Authorization: Bearer dray_nonsense":   "token",
		} {
			var headers []string
			if header != "" {
				headers = append(headers, header)
			}
			resp := r.as("", "GET", path, nil, headers...)
			raw, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != 401 || !strings.Contains(string(raw), want) {
				t.Errorf("%s %q: %s %s", path, header, resp.Status, raw)
			}
		}
	}
}

// The rules of a configuration may name these verbs and no others.
func TestTheVerbsOfRulesAreThoseThatTheServerAsksFor(t *testing.T) {
	if want := append(wire.Kinds(), "pull", "push", "delete"); !slices.Equal(config.Verbs(), want) {
		t.Errorf("%q, want %q", config.Verbs(), want)
	}
}

func TestAHintToAClientOfAzureNamesWhatItsRequestHas(t *testing.T) {
	source := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	testbed.Random(t, source, "app", "v1", testbed.RandomOptions{Seed: 1})
	testbed.Random(t, source, "app", "v2", testbed.RandomOptions{Seed: 2})
	r := run(t, server.Config{Data: t.TempDir(), Htpasswd: users(t, "admin"), Roles: map[string]access.Role{"admin": access.Admin},
		Dray: dray.Config{Registries: map[string]dray.Registry{"src": plainHTTP(source)}}})
	const path = "/subscriptions/x/resourceGroups/y/providers/Microsoft.ContainerRegistry/registries/drayregistry/importImage?api-version=2023-07-01"
	said := ""
	for _, tag := range []string{"v1", "v2"} {
		body := `{"source":{"registryUri":"` + source.Host + `","sourceImage":"app:` + tag + `"},"targetTags":["app:v1"]}`
		resp := r.as("admin", "POST", path, strings.NewReader(body), "Content-Type: application/json")
		raw, _ := io.ReadAll(resp.Body)
		said += resp.Status + string(raw)
	}
	if !strings.Contains(said, "(hint: use mode: Force to replace it)") {
		t.Error(said)
	}
}
