package credential

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

const (
	oauthAt = "https://oauth2.googleapis.com"
	garHost = "europe-docker.pkg.dev"
	yaToken = `{"access_token": "ya29.canary-7f3a91", "expires_in": 3599, "token_type": "Bearer"}`
)

func (s *sky) adc(name string, fields map[string]any) string {
	s.t.Helper()
	text, err := json.Marshal(fields)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.write(name, string(text))
}

func googleLogin(from string) Login {
	return Login{User: "oauth2accesstoken", Password: New("ya29.canary-7f3a91"), From: from}
}

func TestAUsersADCServesAllOfGooglesRegistries(t *testing.T) {
	s := newSky(t).up()
	s.adc(".config/gcloud/application_default_credentials.json", map[string]any{"type": "authorized_user", "client_id": "cid", "client_secret": canary,
		"refresh_token": canary + "-refresh", "quota_project_id": "p"})
	s.at[oauthAt] = only(t, "/token", s.demand(url.Values{"grant_type": {"refresh_token"}, "client_id": {"cid"}, "client_secret": {canary}, "refresh_token": {canary + "-refresh"}}, yaToken))
	look := Google{s.cloud()}.Lookup()
	for _, host := range []string{garHost, "gcr.io", "eu.gcr.io"} {
		if l := s.finds(look, host); l != googleLogin("google user of application default credentials") {
			t.Error(l, l.From)
		}
	}
	if s.count() != 1 {
		t.Error(s.asked)
	}
	s.at[oauthAt] = parrot(http.StatusBadRequest)
	s.refuses(Google{s.cloud()}.Lookup(), "gcr.io", fault.Denied)

	s.vars["CLOUDSDK_CONFIG"] = filepath.Join(s.home, "elsewhere")
	s.adc("elsewhere/application_default_credentials.json", map[string]any{"type": "gdch_service_account"})
	if text := s.refuses(Google{s.cloud()}.Lookup(), "gcr.io", fault.Invalid); !strings.Contains(text, `type "gdch_service_account" is not supported`) {
		t.Error(text)
	}
}

func TestAServiceAccountSignsItsStatement(t *testing.T) {
	s := newSky(t).up()
	key, text, _ := keyPair(t)
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "PRIVATE KEY" {
			text = pem.EncodeToMemory(block)
		}
	}
	fields := map[string]any{"type": "service_account", "client_email": "sa@p.iam.gserviceaccount.com", "private_key_id": "kid1", "private_key": string(text),
		"token_uri": oauthAt + "/token"}
	s.vars["GOOGLE_APPLICATION_CREDENTIALS"] = s.adc("key.json", fields)
	var proof string
	s.at[oauthAt] = only(t, "/token", func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		proof = r.PostForm.Get("assertion")
		header, claims := openJWT(t, &key.PublicKey, proof)
		if header["alg"] != "RS256" || header["kid"] != "kid1" || len(header) != 3 {
			t.Error(header)
		}
		if claims["iss"] != fields["client_email"] || claims["aud"] != fields["token_uri"] || claims["scope"] != "https://www.googleapis.com/auth/cloud-platform" || len(claims) != 5 {
			t.Error(claims)
		}
		within(t, claims, "iat", 0, 0)
		within(t, claims, "exp", time.Hour, time.Hour)
		s.demand(url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {proof}}, yaToken)(w, r)
	})
	if l := s.finds(Google{s.cloud()}.Lookup(), garHost); l != googleLogin("google service account sa@p.iam.gserviceaccount.com") {
		t.Error(l, l.From)
	}
	s.at[oauthAt] = func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		proof = r.PostForm.Get("assertion")
		parrot(http.StatusBadRequest)(w, r)
	}
	if refusal := s.refuses(Google{s.cloud()}.Lookup(), garHost, fault.Denied); strings.Contains(refusal, proof[:40]) {
		t.Error("the error shows the secret:", refusal)
	}
	asked := s.count()
	for name, bad := range map[string]string{"token_uri": "https://oauth2.googleapis.com.evil.example/token", "private_key": canary} {
		wrong := map[string]any{}
		maps.Copy(wrong, fields)
		wrong[name] = bad
		s.adc("key.json", wrong)
		s.refuses(Google{s.cloud()}.Lookup(), garHost, fault.Invalid)
	}
	for _, at := range []string{"http://oauth2.googleapis.com/token", "http://127.0.0.1/token", "https://evilgoogleapis.com/token", "https://oauth2.googleapis.com:8443/token"} {
		fields["token_uri"] = at
		s.adc("key.json", fields)
		s.refuses(Google{s.cloud()}.Lookup(), garHost, fault.Invalid)
	}
	if s.count() != asked {
		t.Error("requests were made:", s.asked[asked:])
	}
}

func TestAForeignTokenIsTradedAndTakesOnAServiceAccount(t *testing.T) {
	s := newSky(t).up()
	const impersonate = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/sa@p:generateAccessToken"
	file := s.write("subject", `{"id_token": "`+canary+`"}`)
	sts := func(then string) http.HandlerFunc {
		return only(t, "/v1/token", s.demand(url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "audience": {"//iam/pool"},
			"scope": {"https://www.googleapis.com/auth/cloud-platform"}, "requested_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
			"subject_token": {canary}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"}}, then))
	}
	fields := map[string]any{"type": "external_account", "audience": "//iam/pool", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
		"token_url": "https://sts.googleapis.com/v1/token", "credential_source": map[string]any{"file": file,
			"format": map[string]any{"type": "json", "subject_token_field_name": "id_token"}}}
	s.vars["GOOGLE_APPLICATION_CREDENTIALS"] = s.adc("wif.json", fields)
	s.at["https://sts.googleapis.com"] = sts(yaToken)
	if l := s.finds(Google{s.cloud()}.Lookup(), garHost); l != googleLogin("google workload identity //iam/pool") {
		t.Error(l, l.From)
	}

	fields["service_account_impersonation_url"] = impersonate
	fields["credential_source"] = map[string]any{"url": "https://ci.example/token?x=1", "headers": map[string]string{"Authorization": "Bearer " + canary + "-ci"}}
	s.adc("wif.json", fields)
	s.at["https://ci.example"] = s.asksFor("/token", "x=1", "Authorization", "Bearer "+canary+"-ci", canary+"\n")
	s.at["https://sts.googleapis.com"] = sts(strings.Replace(yaToken, "ya29.canary-7f3a91", canary+"-federated", 1))
	s.at["https://iamcredentials.googleapis.com"] = func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || "https://"+r.Host+r.URL.Path != impersonate || r.Header.Get("Authorization") != "Bearer "+canary+"-federated" ||
			string(body) != `{"scope":["https://www.googleapis.com/auth/cloud-platform"]}` {
			t.Errorf("%s %s %s", r.Method, r.URL, body)
		}
		fmt.Fprintf(w, `{"accessToken": "ya29.canary-7f3a91", "expireTime": %q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}
	if l := s.finds(Google{s.cloud()}.Lookup(), garHost); l != googleLogin("google workload identity //iam/pool as service account") {
		t.Error(l, l.From)
	}
	for _, at := range []string{"https://iamcredentials.googleapis.com", "https://sts.googleapis.com", "https://ci.example"} {
		s.at[at] = parrot(http.StatusForbidden)
		s.refuses(Google{s.cloud()}.Lookup(), garHost, fault.Denied)
	}
	asked := s.count()
	for name, bad := range map[string]any{"token_url": "https://sts.evil.example", "service_account_impersonation_url": "https://iam.evil.example",
		"credential_source": map[string]any{"environment_id": "aws1"}} {
		wrong := map[string]any{}
		maps.Copy(wrong, fields)
		wrong[name] = bad
		s.adc("wif.json", wrong)
		s.refuses(Google{s.cloud()}.Lookup(), garHost, fault.Invalid)
	}
	if s.count() != asked {
		t.Error("requests were made:", s.asked[asked:])
	}
}

func TestGooglesMetadataServiceIsKnownByItsHeader(t *testing.T) {
	s := newSky(t).up()
	const path = "/computeMetadata/v1/instance/service-accounts/default/token"
	flavored := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Metadata-Flavor", "Google")
			h(w, r)
		}
	}
	good := flavored(s.asksFor(path, "", "Metadata-Flavor", "Google", yaToken))
	s.at[imdsHost] = good
	marked := flavored(s.asksFor(path, "", "Metadata-Flavor", "Google", "\ufeff"+yaToken)) // with a byte order mark
	for _, s.at[imdsHost] = range []http.HandlerFunc{good, marked} {
		if l := s.finds(Google{s.cloud()}.Lookup(), "gcr.io"); l != googleLogin("google metadata service") {
			t.Error(l, l.From)
		}
	}
	s.at[imdsHost] = good
	for what, h := range map[string]http.HandlerFunc{"no account": flavored(parrot(http.StatusNotFound)), "another cloud": parrot(http.StatusUnauthorized),
		"a page": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }} {
		s.at[imdsHost] = h
		if _, ok, err := (Google{s.cloud()}).Lookup()(t.Context(), ref.Repo{Host: "gcr.io"}); ok || err != nil {
			t.Error(what, ok, err)
		}
	}
	s.at[imdsHost] = flavored(parrot(http.StatusForbidden))
	s.refuses(Google{s.cloud()}.Lookup(), "gcr.io", fault.Denied)
	for host, at := range map[string]string{"127.0.0.1:8080": "http://127.0.0.1:8080", "metadata.google.internal": imdsHost, "169.254.169.252": "http://169.254.169.252"} {
		clear(s.at)
		s.vars["GCE_METADATA_HOST"] = host
		s.at[at] = good
		s.finds(Google{s.cloud()}.Lookup(), "gcr.io")
		delete(s.at, at)
		s.refuses(Google{s.cloud()}.Lookup(), "gcr.io", fault.Unavailable)
	}
}

func TestAGoogleTokenIsRenewedAfterThreeQuartersOfItsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSky(t)
		s.adc(".config/gcloud/application_default_credentials.json", map[string]any{"type": "authorized_user"})
		s.at[oauthAt] = func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, strings.Replace(yaToken, "3599", "4000", 1))
		}
		look := Google{s.cloud()}.Lookup()
		for _, step := range []struct {
			wait time.Duration
			asks int
		}{{0, 1}, {2999 * time.Second, 1}, {2 * time.Second, 2}} {
			time.Sleep(step.wait)
			if s.finds(look, "gcr.io"); s.count() != step.asks {
				t.Errorf("%s later: %d requests", step.wait, s.count())
			}
		}
	})
}
