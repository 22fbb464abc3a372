package arm_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/config/gates"
	"github.com/drayage/dray/cmd/internal/gatekeeper"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
)

func TestAnImportIsAnOperationThatEndsAsItsJobDoes(t *testing.T) {
	b := start(t, options{})
	r := b.send(b.token, "POST", registry+"production/importImage"+version, b.from("library/app:v1", "team/app:v1", "team/app"))
	if r.StatusCode != http.StatusAccepted || r.body["status"] != "Accepted" || r.body["team/app:v1"] == nil {
		t.Fatal(r.StatusCode, r.raw)
	}
	end := b.finish(r)
	if end.StatusCode != http.StatusOK || end.body["status"] != "Succeeded" {
		t.Fatal(end.StatusCode, end.raw)
	}
	if got, want := b.digest("team/app:v1"), b.sourceDigest("v1"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	// Another poll gets the same answer.
	if again := b.send(b.token, "GET", r.Header.Get("Location"), nil); again.StatusCode != http.StatusOK {
		t.Error(again.StatusCode, again.raw)
	}
}

// digest returns the digest of a name at the target, or "" if the name does not exist.
func (b *bench) digest(name string) string {
	b.t.Helper()
	repo, tag, _ := strings.Cut(name, ":")
	resp := b.target.Direct(b.t, "HEAD", "/v2/"+repo+"/manifests/"+tag, accepts(), nil, nil)
	return resp.Header.Get("Docker-Content-Digest")
}

func (b *bench) sourceDigest(tag string) string {
	b.t.Helper()
	resp := b.source.Direct(b.t, "HEAD", "/v2/library/app/manifests/"+tag, accepts(), nil, nil)
	return resp.Header.Get("Docker-Content-Digest")
}

func accepts() http.Header {
	return http.Header{"Accept": {"application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"}}
}

func TestAShortImportIsDoneWhenThePOSTReturns(t *testing.T) {
	b := start(t, options{hold: time.Minute})
	r := b.send(b.token, "POST", registry+"production/importImage"+version, b.from("library/app:v1", "app:v1"))
	if r.StatusCode != http.StatusOK || r.body["status"] != "Succeeded" {
		t.Fatal(r.StatusCode, r.raw)
	}
	r = b.send(b.token, "POST", registry+"production/importImage"+version, b.from("library/app:v2", "app:v1"))
	if r.StatusCode != http.StatusConflict || r.code() != "Conflict" || !strings.Contains(r.raw, "already exists") {
		t.Fatal(r.StatusCode, r.raw)
	}
	body := b.from("library/app:v2", "app:v1")
	body["mode"] = "Force"
	if r = b.send(b.token, "POST", registry+"production/importImage"+version, body); r.StatusCode != http.StatusOK || b.digest("app:v1") != b.sourceDigest("v2") {
		t.Fatal(r.StatusCode, r.raw)
	}
}

// az has no word for referrers, and its users expect the signatures.
func TestWhatRefersToAnImageIsImportedWithIt(t *testing.T) {
	b := start(t, options{hold: time.Minute})
	signature := testbed.Artifact(t, b.source, "library/app", "", b.sourceImage("v1"))
	r := b.send(b.token, "POST", registry+"production/importImage"+version, b.from("library/app:v1", "app:v1"))
	if r.StatusCode != http.StatusOK || b.digest("app:v1") != b.sourceDigest("v1") {
		t.Fatal(r.StatusCode, r.raw)
	}
	if resp := b.target.Direct(t, "HEAD", "/v2/app/manifests/"+signature.Digest(), accepts(), nil, nil); resp.StatusCode != http.StatusOK {
		t.Errorf("the signature: %d", resp.StatusCode)
	}

	// What is signed after the import arrives with the next one, if the client says so.
	late := testbed.Artifact(t, b.source, "library/app", "late", b.sourceImage("v1"))
	for _, c := range []struct {
		mode string
		want int
	}{{"", 404}, {"false", 404}, {"sync", 200}} {
		r := b.send(b.token, "POST", registry+"production/importImage"+version, b.from("library/app:v1", "app:v1"), "X-Dray-Referrers", c.mode)
		if r.StatusCode != http.StatusOK {
			t.Fatal(r.StatusCode, r.raw)
		}
		if resp := b.target.Direct(t, "HEAD", "/v2/app/manifests/"+late.Digest(), accepts(), nil, nil); resp.StatusCode != c.want {
			t.Errorf("%q: %d, want %d", c.mode, resp.StatusCode, c.want)
		}
	}
	if r := b.send(b.token, "POST", registry+"production/importImage"+version, b.from("library/app:v1", "app:v1"), "X-Dray-Referrers", "some"); r.StatusCode != http.StatusBadRequest || r.code() != "InvalidParameters" {
		t.Error(r.StatusCode, r.raw)
	}
}

// az has no word for gates either: that of the server's configuration holds for it.
func TestAnImportThatTheGateRefusesFailsAndSaysWhatAndWhy(t *testing.T) {
	k, err := gatekeeper.New(gates.Gate{Name: "prod", Referrers: []string{testbed.ArtifactType}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, options{gate: k})
	r := b.finish(b.send(b.token, "POST", registry+"production/importImage"+version, b.from("library/app:v1", "app:v1")))
	if r.StatusCode != http.StatusBadRequest || r.code() != "InvalidParameters" {
		t.Errorf("%d %s", r.StatusCode, r.raw)
	}
	for _, want := range []string{"gate prod refuses " + b.source.Host + "/library/app:v1@" + b.sourceDigest("v1"),
		"no document of the type " + testbed.ArtifactType + " refers to it", "(hint: attach the document to the image at the source)"} {
		if !strings.Contains(r.raw, want) {
			t.Errorf("%s\nwant %s", r.raw, want)
		}
	}
	if resp := b.target.Direct(t, "HEAD", "/v2/app/manifests/v1", accepts(), nil, nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("the tag is set: %d", resp.StatusCode)
	}
	testbed.Artifact(t, b.source, "library/app", "", b.sourceImage("v1"))
	if r = b.finish(b.send(b.token, "POST", registry+"production/importImage"+version, b.from("library/app:v1", "app:v1"))); r.StatusCode != http.StatusOK {
		t.Errorf("%d %s", r.StatusCode, r.raw)
	}
}

// sourceImage returns the descriptor of a tag of the source.
func (b *bench) sourceImage(tag string) oci.Descriptor {
	b.t.Helper()
	resp := b.source.Direct(b.t, "HEAD", "/v2/library/app/manifests/"+tag, accepts(), nil, nil)
	return oci.Descriptor{MediaType: resp.Header.Get("Content-Type"),
		Digest: oci.Digest(resp.Header.Get("Docker-Content-Digest")), Size: resp.ContentLength}
}

func TestEveryFormOfASourceIsUnderstood(t *testing.T) {
	b := start(t, options{hold: time.Minute})
	digest := b.sourceDigest("v1")
	for name, body := range map[string]map[string]any{
		"by-resource": {"source": map[string]any{"resourceId": "/SUBSCRIPTIONS/x/resourcegroups/y/providers/microsoft.containerregistry/registries/Hub", "sourceImage": "library/app:v1"}, "targetTags": []string{"by-resource:v1"}},
		"by-shown":    {"source": map[string]any{"resourceId": "/subscriptions/x/resourceGroups/y/providers/Microsoft.ContainerRegistry/registries/hubregistry", "sourceImage": "library/app:v1"}, "targetTags": []string{"by-shown:v1"}},
		"by-digest":   {"source": map[string]any{"registryUri": b.source.Host, "sourceImage": "library/app@" + digest}, "targetTags": []string{"by-digest:v1"}, "mode": "NoForce"},
		"with-scheme": {"source": map[string]any{"registryUri": "http://" + b.source.Host + "/", "sourceImage": "library/app:v1"}, "targetTags": []string{"with-scheme:v1"}, "mode": "noforce"},
		"inherits":    {"source": map[string]any{"registryUri": b.source.Host, "sourceImage": "library/app:v1"}, "targetTags": []string{"inherits"}},
	} {
		r := b.send(b.token, "POST", registry+"production/importImage"+version, body)
		if r.StatusCode != http.StatusOK || b.digest(name+":v1") != digest {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.raw)
		}
	}
	body := map[string]any{"source": map[string]any{"registryUri": b.source.Host, "sourceImage": "library/app:v1"}, "untaggedTargetRepositories": []string{"untagged"}}
	if r := b.send(b.token, "POST", registry+"production/importImage"+version, body); r.StatusCode != http.StatusOK {
		t.Error(r.StatusCode, r.raw)
	}
	resp := b.target.Direct(t, "HEAD", "/v2/untagged/manifests/"+digest, accepts(), nil, nil)
	if resp.StatusCode != http.StatusOK {
		t.Error(resp.StatusCode)
	}
}

func TestWhatIsNoImportIsRefusedBeforeItIsAJob(t *testing.T) {
	b := start(t, options{})
	src := func(pairs ...any) map[string]any {
		s := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			s[pairs[i].(string)] = pairs[i+1]
		}
		return map[string]any{"source": s, "targetTags": []string{"a:b"}}
	}
	const path = registry + "production/importImage" + version
	for name, tt := range map[string]struct {
		path   string
		body   any
		status int
		code   string
	}{
		"no JSON":              {path, "{", 400, "InvalidParameters"},
		"a wrong type":         {path, `{"source":{"sourceImage":7}}`, 400, "InvalidParameters"},
		"no source":            {path, "{}", 400, "InvalidParameters"},
		"no registry":          {path, src("sourceImage", "a:b"), 400, "InvalidParameters"},
		"two registries":       {path, src("sourceImage", "a:b", "registryUri", "docker.io", "resourceId", registry+"hub"), 400, "InvalidParameters"},
		"no resource":          {path, src("sourceImage", "a:b", "resourceId", "/subscriptions/x"), 400, "InvalidParameters"},
		"a resource of others": {path, src("sourceImage", "a:b", "resourceId", strings.Replace(registry+"hub", "ContainerRegistry", "Storage", 1)), 400, "InvalidParameters"},
		"no password":          {path, src("sourceImage", "a:b", "registryUri", "docker.io", "credentials", map[string]any{"username": "u"}), 400, "InvalidParameters"},
		"a password alone":     {path, src("sourceImage", "a:b", "registryUri", "docker.io", "credentials", map[string]any{"password": "canary-7f3a91"}), 400, "InvalidParameters"},
		"a login in it":        {path, src("sourceImage", "a:b", "registryUri", "u:canary-7f3a91@docker.io"), 400, "InvalidParameters"},
		"no image":             {path, src("sourceImage", "A:b:c", "registryUri", "docker.io"), 400, "InvalidParameters"},
		"a mode":               {path, map[string]any{"source": map[string]any{"sourceImage": "a", "registryUri": "docker.io"}, "mode": "Merge"}, 400, "InvalidParameters"},
		"not granted":          {path, src("sourceImage", "a:b", "registryUri", "other.example"), 403, "AuthorizationFailed"},
		"no version":           {registry + "production/importImage", src("sourceImage", "a:b", "registryUri", "docker.io"), 400, "MissingApiVersionParameter"},
		"another registry":     {registry + "nobody/importImage" + version, src("sourceImage", "a:b", "registryUri", "docker.io"), 404, "ResourceNotFound"},
		"another operation":    {registry + "production/scheduleRun" + version, "{}", 404, "InvalidResourceOperation"},
		"another provider":     {sub + "/resourceGroups/any/providers/Microsoft.Storage/storageAccounts/x" + version, "{}", 404, "InvalidResourceOperation"},
	} {
		r := b.send(b.token, "POST", tt.path, tt.body)
		if r.StatusCode != tt.status || r.code() != tt.code || r.Header.Get("X-Ms-Error-Code") != tt.code || strings.Contains(r.raw, "canary") {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.raw)
		}
	}
	if jobs, _, err := b.queue.List(t.Context(), job.Filter{}); err != nil || len(jobs) != 0 {
		t.Error(jobs, err)
	}
}

func TestAJobThatFailsIsA4xxThatNoClientTriesAgain(t *testing.T) {
	b := start(t, options{})
	for _, image := range []string{"library/app:nothing", "library/nothing:v1"} {
		r := b.finish(b.send(b.token, "POST", registry+"production/importImage"+version, b.from(image, "x:y")))
		if r.StatusCode != http.StatusNotFound || r.code() != "ManifestUnknown" || !strings.Contains(r.raw, "Operation registries-") {
			t.Errorf("%s: %d %s", image, r.StatusCode, r.raw)
		}
	}
}

func TestASourceThatIsDownOrClosedIsNoReasonToAskOnForEver(t *testing.T) {
	for status, want := range map[int]string{500: "RegistryUnavailable", 401: "Unauthorized", 403: "Unauthorized"} {
		b := start(t, options{source: func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		}})
		r := b.finish(b.send(b.token, "POST", registry+"production/importImage"+version, b.from("library/app:v1", "x:y")))
		if r.StatusCode < 400 || r.StatusCode > 499 || r.StatusCode == 401 || r.StatusCode == 408 || r.StatusCode == 429 || r.code() != want {
			t.Errorf("%d: %d %s", status, r.StatusCode, r.raw)
		}
	}
}

func TestACanceledOperationFails(t *testing.T) {
	b := start(t, options{workers: "none"})
	r := b.send(b.token, "POST", registry+"production/importImage"+version, b.from("library/app:v1", "x:y"))
	if r.StatusCode != http.StatusAccepted || r.body["x:y"] != "Pending" {
		t.Fatal(r.StatusCode, r.raw)
	}
	if _, err := b.queue.Cancel(t.Context(), r.Header.Get("X-Ms-Request-Id"), nil); err != nil {
		t.Fatal(err)
	}
	if r = b.finish(r); r.StatusCode != http.StatusConflict || r.code() != "OperationCanceled" {
		t.Error(r.StatusCode, r.raw)
	}
}

func TestAnOperationIsItsOwnersAndOutlivesTheServer(t *testing.T) {
	b := start(t, options{workers: "none"})
	r := b.send(b.token, "POST", registry+"production/importImage"+version, b.from("library/app:v1", "x:y"))
	at := r.Header.Get("Location")
	for who, want := range map[string]int{b.newToken("other", access.Submitter): 404, b.newToken("root", access.Admin): 202, "": 401, "nonsense": 401} {
		if r := b.send(who, "GET", at, nil); r.StatusCode != want {
			t.Errorf("%d, want %d: %s", r.StatusCode, want, r.raw)
		}
	}
	if r := b.send(b.token, "GET", strings.Replace(at, "registries-", "registries-0", 1), nil); r.StatusCode != 404 || r.code() != "OperationNotFound" {
		t.Error(r.StatusCode, r.raw)
	}
	// The subscription of the request comes back as it was sent.
	odd := strings.Replace(registry, "0f8fad5b", "a%3Fb%0d%0a", 1)
	if got := b.send(b.token, "POST", odd+"production/importImage?api-version=a%26b", b.from("library/app:v1", "odd:y")).Header.Get("Location"); !strings.Contains(got, "/subscriptions/a%3Fb%0D%0A-d9cb") || !strings.HasSuffix(got, "?api-version=a%26b") {
		t.Error(got)
	}
	b.restart()
	// The id of the operation is that of the job, so any server of the database knows it.
	id := r.Header.Get("X-Ms-Request-Id")
	if j, err := b.queue.Get(t.Context(), id); err != nil || !strings.Contains(at, "registries-"+id) || strings.Contains(fmt.Sprintf("%+v %s", j, j.Request), "0f8fad5b") {
		t.Errorf("%+v %v", j, err)
	}
	b.work()
	if end := b.finish(r); end.StatusCode != http.StatusOK {
		t.Error(end.StatusCode, end.raw)
	}
}

func TestAPOSTThatIsSentAgainIsTheSameJob(t *testing.T) {
	b := start(t, options{workers: "none"})
	const id = "7b0d4ad6-4c2f-4d6e-9a57-6d1b8f1c0a11"
	send := func(id, tag string) string {
		return b.send(b.token, "POST", registry+"production/importImage"+version, b.from("library/app:v1", tag), "x-ms-client-request-id", id).Header.Get("X-Ms-Request-Id")
	}
	first := send(id, "a:b")
	if first == "" || send(strings.ToUpper(id), "a:b") != first {
		t.Error("a retried request created a second job")
	}
	for name, got := range map[string]string{"another image": send(id, "a:c"), "another request": send("7b0d4ad6-4c2f-4d6e-9a57-6d1b8f1c0a12", "a:b"), "no id": send("x", "a:b")} {
		if got == first || got == "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestInlineCredentialsReachTheSourceAndNothingElse(t *testing.T) {
	seen := make(chan string, 100)
	b := start(t, options{hold: time.Minute, source: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, password, _ := r.BasicAuth()
			select {
			case seen <- user + ":" + password:
			default:
			}
			if user == "" {
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				w.WriteHeader(401)
				return
			}
			next.ServeHTTP(w, r)
		})
	}})
	body := b.from("library/app:v1", "x:y")
	body["source"].(map[string]any)["credentials"] = map[string]string{"username": "robot", "password": "canary-7f3a91"}
	r := b.send(b.token, "POST", registry+"production/importImage"+version, body)
	if r.StatusCode != http.StatusOK {
		t.Fatal(r.StatusCode, r.raw)
	}
	close(seen)
	used := false
	for s := range seen {
		used = used || s == "robot:canary-7f3a91"
	}
	// The key of a retry does not depend on the password either.
	again := map[string]string{}
	for _, password := range []string{"one", "two"} {
		body["source"].(map[string]any)["credentials"] = map[string]string{"username": "robot", "password": password}
		body["targetTags"] = []string{"x:z"}
		const id = "7b0d4ad6-4c2f-4d6e-9a57-6d1b8f1c0a13"
		again[b.send(b.token, "POST", registry+"production/importImage"+version, body, "x-ms-client-request-id", id).Header.Get("X-Ms-Request-Id")] = password
	}
	if len(again) != 1 {
		t.Error("the key depends on the password")
	}
	j, err := b.queue.Get(t.Context(), r.Header.Get("X-Ms-Request-Id"))
	if err != nil || !used || strings.Contains(fmt.Sprintf("%+v %s", j, j.Request), "canary") {
		t.Errorf("used %t, %+v %v", used, j, err)
	}
}

func TestWhoHasTooManyAnswersHeldGetsTheNextAtOnce(t *testing.T) {
	b := start(t, options{hold: time.Minute, workers: "none"})
	b.config.Held = access.NewPlaces(0)
	b.stop()
	b.db.Close()
	b.open()
	began := time.Now()
	r := b.send(b.token, "POST", registry+"production/importImage"+version, b.from("library/app:v1", "app:v1"))
	if r.StatusCode != http.StatusAccepted || r.Header.Get("Location") == "" || r.Header.Get("Retry-After") != "1" || time.Since(began) > 30*time.Second {
		t.Errorf("%d %v %s after %v", r.StatusCode, r.Header, r.raw, time.Since(began))
	}
}
