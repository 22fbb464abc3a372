package probe_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	mark "github.com/drayage/dray/internal/testbed/canary"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// canary is a password that must not appear anywhere.
const canary = mark.Word

var robot = credential.Login{User: "robot", Password: credential.New(canary), From: "flag --dst-creds"}

// check runs a check from reg/app:v1 and returns the findings by "side what".
func check(t *testing.T, settings dray.Settings, req dray.CheckRequest, hosts ...*testbed.Registry) (dray.CheckReport, map[string]dray.Finding) {
	t.Helper()
	settings.PlainHTTP = !settings.Insecure && settings.CAFile == "" && strings.HasPrefix(hosts[0].URL, "http:")
	c := dray.Config{Registries: map[string]dray.Registry{"src": {Host: hosts[0].Host, Settings: dray.Settings{PlainHTTP: true}}}}
	if len(hosts) > 1 {
		c.Registries["dst"] = dray.Registry{Host: hosts[1].Host, Settings: settings}
	} else {
		c.Registries["src"] = dray.Registry{Host: hosts[0].Host, Settings: settings}
	}
	d, err := dray.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	rep, err := d.Check(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(rep)
	if err != nil || strings.Contains(string(raw), canary) || rep.Err() != nil && strings.Contains(rep.Err().Error()+fault.HintOf(rep.Err()), canary) {
		t.Errorf("%v %s", err, raw)
	}
	found := map[string]dray.Finding{}
	for _, s := range rep.Sides {
		for _, f := range s.Findings {
			found[string(s.Side)+" "+f.What] = f
		}
	}
	return rep, found
}

// wants checks the state, text and remedy of a finding.
func wants(t *testing.T, found map[string]dray.Finding, key string, state dray.Severity, text, remedy string) {
	t.Helper()
	f, ok := found[key]
	if !ok || f.State != state || !strings.Contains(f.Text, text) || !strings.Contains(f.Remedy, remedy) {
		t.Errorf("%s: %+v, want %s %q (%q)", key, f, state, text, remedy)
	}
}

func may(actions ...string) func(string, string, string) bool {
	return func(_, _, action string) bool { return strings.Contains(strings.Join(actions, " "), action) }
}

func bearer(users func(string, string, string) bool, dialect testbed.Dialect) testbed.Auth {
	return testbed.Auth{Mode: testbed.Bearer, Dialect: dialect, Users: map[string]string{"robot": canary}, May: users}
}

func TestCheckNamesTheMissingRightByTheRegistrysOwnRoles(t *testing.T) {
	src := testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{})
	for kind, role := range map[string]string{
		"acr": "give this login AcrPush (with ABAC: Container Registry Repository Writer), or use another login in flag --dst-creds; a new role assignment takes up to ten minutes",
		"gar": "Artifact Registry Writer", "ghcr": "write:packages", "harbor": "developer", "generic": "the right to push",
	} {
		t.Run(kind, func(t *testing.T) {
			dst := testbed.Distribution(t, testbed.Options{Auth: bearer(may("pull"), testbed.Docker)})
			rep, found := check(t, dray.Settings{Kind: kind}, dray.CheckRequest{Source: "src/app:v1", Target: "dst/app", TargetLogin: &robot}, src, dst)
			wants(t, found, "target login", dray.OK, "user robot, from flag --dst-creds", "")
			wants(t, found, "target tag", dray.OK, "free", "")
			wants(t, found, "target push", dray.Fail, "lacks repository:app:", role)
			if rep.Ready || !fault.Is(rep.Err(), fault.Denied) || rep.Verdict != "not ready, problems with: target push" {
				t.Errorf("%v %s", rep.Err(), rep.Verdict)
			}
		})
	}
}

func TestCheckLeavesNothingAtTheTarget(t *testing.T) {
	src := testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{})
	for _, o := range []testbed.Options{{}, {Auth: bearer(nil, testbed.Docker)}, {Auth: testbed.Auth{Mode: testbed.Basic, Users: map[string]string{"robot": canary}}}} {
		dir := t.TempDir()
		o.Dir = dir
		dst := testbed.Distribution(t, o)
		rep, found := check(t, dray.Settings{}, dray.CheckRequest{Source: "src/app:v1", Target: "dst/team/app", TargetLogin: &robot}, src, dst)
		wants(t, found, "target push", dray.OK, "opened and canceled", "")
		if !rep.Ready || rep.Err() != nil {
			t.Error(rep.Verdict)
		}
		var left []string
		walk(t, dir, func(path string) {
			// distribution writes the state of its hash once more after the upload was canceled
			if !strings.Contains(path, "hashstates") {
				left = append(left, path)
			}
		})
		if len(left) != 0 || dst.Count("PUT", "") != 0 || dst.Count("PATCH", "") != 0 {
			t.Errorf("%q\n%s", left, dst.Story())
		}
	}
}

func TestAnUploadThatMayNotBeCanceledIsSaid(t *testing.T) {
	src := testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{})
	dst := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), hostile.Error(403, "DENIED", "no right to delete").On("DELETE", ""))
	rep, found := check(t, dray.Settings{}, dray.CheckRequest{Source: "src/app:v1", Target: "dst/app", TargetLogin: &robot}, src, dst)
	wants(t, found, "target push", dray.OK, "this login may not cancel it, so the registry keeps it for a while", "")
	if !rep.Ready {
		t.Error(rep.Verdict)
	}
}

func TestAFirewallIsToldFromAMissingRight(t *testing.T) {
	for name, body := range map[string]string{
		"said":   `{"errors":[{"code":"DENIED","message":"client with IP '203.0.113.9' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."}]}`,
		"silent": `<html>403 Forbidden</html>`,
	} {
		t.Run(name, func(t *testing.T) {
			reg := testbed.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusForbidden)
				io.WriteString(w, body)
			}), testbed.Options{})
			rep, found := check(t, dray.Settings{Kind: "acr"}, dray.CheckRequest{Source: "src/app:v1", SourceLogin: &robot}, reg)
			wants(t, found, "source reached", dray.Fail, "a firewall refuses the request", "a login does not help")
			if !fault.Is(rep.Err(), fault.Denied) || reg.Requests() != 1 {
				t.Errorf("%v\n%s", rep.Err(), reg.Story())
			}
		})
	}
}

func TestCheckTellsHowARegistryIsReached(t *testing.T) {
	reg := testbed.Distribution(t, testbed.Options{Scheme: testbed.HTTPS})
	testbed.Random(t, reg, "app", "v1", testbed.RandomOptions{})
	rep, found := check(t, dray.Settings{CAFile: reg.CAFile(t)}, dray.CheckRequest{Source: "src/app:v1"}, reg)
	wants(t, found, "source reached", dray.OK, "https, TLS 1.3, certificate of", "")
	if !rep.Ready {
		t.Error(rep.Verdict)
	}
	rep, found = check(t, dray.Settings{}, dray.CheckRequest{Source: "src/app:v1"}, reg)
	wants(t, found, "source reached", dray.Fail, "certificate", "set ca-file")
	if !fault.Is(rep.Err(), fault.Refused) {
		t.Error(rep.Err())
	}
	rep, found = check(t, dray.Settings{Insecure: true}, dray.CheckRequest{Source: "src/app:v1"}, reg)
	wants(t, found, "source reached", dray.OK, "certificate not verified", "")
	if !rep.Ready {
		t.Error(rep.Verdict)
	}
}

func TestARefusedLoginIsToldFromAMissingRight(t *testing.T) {
	wrong := credential.Login{User: "robot", Password: credential.New(canary + "-old"), From: "docker config"}
	for name, auth := range map[string]testbed.Auth{
		"bearer": bearer(nil, testbed.Docker), "basic": {Mode: testbed.Basic, Users: map[string]string{"robot": canary}},
	} {
		t.Run(name, func(t *testing.T) {
			reg := testbed.Distribution(t, testbed.Options{Auth: auth})
			rep, found := check(t, dray.Settings{}, dray.CheckRequest{Source: "src/app:v1", SourceLogin: &wrong}, reg)
			wants(t, found, "source login", dray.Fail, "user robot, from docker config", "dray login "+reg.Host)
			if _, also := found["source pull"]; also || !fault.Is(rep.Err(), fault.Denied) {
				t.Errorf("%v %+v", rep.Err(), found)
			}
		})
	}
}

// F-30: a token that grants less than was requested is reported.
func TestATokenWithFewerScopesIsShown(t *testing.T) {
	var reg *testbed.Registry
	reg = testbed.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/token":
			token := "e30.eyJhY2Nlc3MiOlt7InR5cGUiOiJyZXBvc2l0b3J5IiwibmFtZSI6ImFwcCIsImFjdGlvbnMiOltdfV19.c2ln" // "actions":[]
			fmt.Fprintf(w, `{"token":%q}`, token)
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+reg.URL+`/token",service="x",scope="repository:app:pull"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}), testbed.Options{})
	_, found := check(t, dray.Settings{}, dray.CheckRequest{Source: "src/app:v1", SourceLogin: &robot}, reg)
	wants(t, found, "source token", dray.Warn, "the token does not grant pull, which was requested", "")
	wants(t, found, "source pull", dray.Fail, "401", "correct the login in flag --dst-creds")
}

func TestCheckReadsDockerHubsBudgetAndSpendsNone(t *testing.T) {
	left := "17"
	reg := testbed.Distribution(t, testbed.Options{Front: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("RateLimit-Limit", "100;w=21600")
			w.Header().Set("RateLimit-Remaining", left+";w=21600")
			next.ServeHTTP(w, r)
		})
	}})
	testbed.Random(t, reg, "app", "v1", testbed.RandomOptions{})
	rep, found := check(t, dray.Settings{Kind: "dockerhub"}, dray.CheckRequest{Source: "src/app:v1"}, reg)
	wants(t, found, "source quota", dray.OK, "17 of 100 pulls left in 6h0m0s", "")
	if !rep.Ready || reg.Count("GET", testbed.Manifest) != 0 {
		t.Errorf("%s\n%s", rep.Verdict, reg.Story())
	}
	left = "0"
	rep, found = check(t, dray.Settings{Kind: "dockerhub"}, dray.CheckRequest{Source: "src/app:v1"}, reg)
	wants(t, found, "source quota", dray.Fail, "none of 100", "wait")
	if !fault.Is(rep.Err(), fault.Throttled) {
		t.Error(rep.Err())
	}
}

// locks is ACR's API of tags, in which every tag is locked.
func locks(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/acr/v1/app/_tags/v") {
			next.ServeHTTP(w, r)
			return
		}
		io.WriteString(w, `{"tag":{"changeableAttributes":{"writeEnabled":false}}}`)
	})
}

// F-78: a locked tag is found before anything moves. It does not matter if the digest is the same.
func TestALockedTagIsAConflictBeforeAnythingMoves(t *testing.T) {
	src, dst := testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{Front: locks})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Seed: 1})
	testbed.Random(t, src, "app", "v2", testbed.RandomOptions{Seed: 2})
	testbed.Random(t, dst, "app", "v1", testbed.RandomOptions{Seed: 2})
	testbed.Random(t, dst, "app", "v2", testbed.RandomOptions{Seed: 2})
	d, err := dray.New(dray.Config{Registries: map[string]dray.Registry{
		"src": {Host: src.Host, Settings: dray.Settings{PlainHTTP: true}}, "dst": {Host: dst.Host, Settings: dray.Settings{PlainHTTP: true, Kind: "acr"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	p, err := d.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s := p.Steps[0]; s.Action != plan.Broken || s.Problem.Kind != fault.Conflict || !strings.Contains(p.String(), "the tag is locked (writeEnabled=false): it has digest sha256:") {
		t.Errorf("%+v\n%s", s, p)
	}
	dst.Reset()
	rep, err := d.Apply(t.Context(), p, nil)
	if !fault.Is(err, fault.Conflict) || rep.Count(dray.Failed) != 1 || fault.HintOf(err) != "use another tag, or unlock this one" || dst.Requests() != 0 {
		t.Errorf("%v\n%s", err, dst.Story())
	}
	if p, err = d.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v2", Targets: []string{"dst/app:v2"}}, nil); err != nil || p.Steps[0].Action != plan.Skip {
		t.Error(p, err)
	}
	for target, want := range map[string]dray.Severity{"dst/app:v1": dray.Fail, "dst/app:v2": ""} {
		c, err := d.Check(t.Context(), dray.CheckRequest{Source: "src/app:" + target[len(target)-2:], Target: target}, nil)
		var got dray.Severity
		for _, f := range c.Sides[1].Findings {
			if f.What == "lock" {
				got = f.State
			}
		}
		if err != nil || got != want || c.Ready != (want == "") {
			t.Error(target, got, c.Verdict, err)
		}
	}
}

func TestAMissingPlaceThatWillBeCreatedIsNoFailure(t *testing.T) {
	src := testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{})
	const name = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
	var made bool
	ecr := testbed.Distribution(t, testbed.Options{Front: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case made || r.URL.Path == "/v2/":
				next.ServeHTTP(w, r)
			case r.Method == http.MethodPost:
				panic(http.ErrAbortHandler)
			default:
				w.WriteHeader(http.StatusNotFound)
				io.WriteString(w, `{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}`)
			}
		})
	}})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".CreateRepository") {
			made = true
			io.WriteString(w, `{"repository":{}}`)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"__type":"RepositoryNotFoundException","message":"no such repository"}`)
	}))
	defer api.Close()
	env := map[string]string{"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": canary, "AWS_ENDPOINT_URL_ECR": api.URL}
	for _, create := range []dray.Create{"", "private"} { // in this order: the second one creates it
		ready := create != ""
		d, err := dray.New(dray.Config{
			Registries: map[string]dray.Registry{"src": {Host: src.Host, Settings: dray.Settings{PlainHTTP: true}},
				"ecr": {Host: name, Settings: dray.Settings{PlainHTTP: true, Kind: "ecr", Create: create}}},
			Cloud: credential.Cloud{Env: func(k string) string { return env[k] }}, Limits: dray.Limits{Retries: 1},
			Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if strings.HasPrefix(addr, name) {
					addr = ecr.Host
				}
				return (&net.Dialer{}).DialContext(ctx, network, addr)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		rep, err := d.Check(t.Context(), dray.CheckRequest{Source: "src/app:v1", Target: "ecr/app"}, nil)
		said := rep.Sides[1].Findings
		if !slices.ContainsFunc(said, func(f dray.Finding) bool {
			return f.What == "push" && strings.HasPrefix(f.Text, "the ECR repository app does not exist") && (f.State == dray.OK) == ready
		}) {
			t.Errorf("%+v", said)
		}
		if err != nil || rep.Ready != ready || made {
			t.Errorf("%q: %s %+v %v", create, rep.Verdict, rep.Sides[1], err)
		}
		if !ready {
			continue
		}
		p, err := d.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app:v1", Targets: []string{"ecr/app"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Apply(t.Context(), p, nil); err != nil || !made {
			t.Error(err, made)
		}
	}
}

func TestTheNearestTagsAreNamedAndCostOneRequest(t *testing.T) {
	y := yard.New(t)
	for _, tag := range []string{"1.27.1", "1.27.0", "1.2", "latest", "nightly"} {
		testbed.Random(t, y.Src, "app", tag, testbed.RandomOptions{})
	}
	y.Forget()
	_, err := y.Copy(dray.CopyRequest{Source: "src/app:1.27", Targets: []string{"dst/app"}})
	if !fault.Is(err, fault.NotFound) || fault.HintOf(err) != "similar tags in this repository: 1.2, 1.27.1, 1.27.0" || y.Src.Count("GET", testbed.Tags) != 1 {
		t.Errorf("%v (hint: %s)\n%s", err, fault.HintOf(err), y.Src.Story())
	}
	if _, err = y.Copy(dray.CopyRequest{Source: "src/app:something-else", Targets: []string{"dst/app"}}); fault.HintOf(err) != "see the tags of this repository: dray ls "+y.Src.Host+"/app" {
		t.Error(fault.HintOf(err))
	}
}

// walk visits files and the directories that contain them. Directories without files do not count.
func walk(t *testing.T, dir string, visit func(string)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			visit(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAMissingHarborProjectIsNotTakenForAMissingRight(t *testing.T) {
	src := testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{})
	dst := testbed.Distribution(t, testbed.Options{Auth: bearer(may(), testbed.Docker), Front: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead && r.URL.Path == "/api/v2.0/projects" {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			next.ServeHTTP(w, r)
		})
	}})
	rep, found := check(t, dray.Settings{Kind: "harbor"}, dray.CheckRequest{Source: "src/app:v1", Target: "dst/team/app", TargetLogin: &robot}, src, dst)
	wants(t, found, "target push", dray.Fail, "the Harbor project team does not exist", "set create: private")
	wants(t, found, "target pull", dray.Unknown, "nothing to read yet", "")
	if !fault.Is(rep.Err(), fault.NotFound) {
		t.Error(rep.Err())
	}
	rep, found = check(t, dray.Settings{Kind: "harbor", Create: "private"}, dray.CheckRequest{Source: "src/app:v1", Target: "dst/team/app", TargetLogin: &robot}, src, dst)
	wants(t, found, "target push", dray.OK, "the first push creates it", "")
	if !rep.Ready {
		t.Error(rep.Verdict)
	}
}

func TestCheckNamesAWebPageThatAnswersInPlaceOfARegistry(t *testing.T) {
	page := hostile.Status(200, http.Header{"Content-Type": {"text/html"}}, "<!doctype html><title>Sign in</title>")
	src := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), page)
	rep, found := check(t, dray.Settings{}, dray.CheckRequest{Source: "src/app:v1"}, src)
	wants(t, found, "source reached", dray.Fail, "a web page of "+src.Host+" answers: a sign-in", "HTTPS_PROXY")
	if rep.Ready || !fault.Is(rep.Err(), fault.Refused) || src.Requests() != 1 {
		t.Errorf("%v\n%s", rep.Err(), src.Story())
	}
}

func TestCheckBelievesOnlyAnIndexAboutReferrers(t *testing.T) {
	for text, f := range map[string]*hostile.Fault{
		"no API for them": hostile.Status(200, http.Header{"Content-Type": {"text/html"}}, "<!doctype html><title>Sign in</title>"),
		"the registry lists them": hostile.Status(200, http.Header{"Content-Type": {oci.TypeIndex}},
			`{"schemaVersion":2,"manifests":[]}`),
		"does not show it": hostile.Error(400, "UNSUPPORTED", "no"),
	} {
		src := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), f.On(http.MethodGet, testbed.Referrer))
		testbed.Random(t, src, "app", "v1", testbed.RandomOptions{})
		rep, found := check(t, dray.Settings{}, dray.CheckRequest{Source: "src/app:v1"}, src)
		state := dray.OK
		if text == "does not show it" {
			state = dray.Unknown
		}
		wants(t, found, "source referrers", state, text, "")
		if !rep.Ready {
			t.Error(rep.Verdict)
		}
	}
}

func TestCheckMissesWhatACopyWouldMiss(t *testing.T) {
	full := testbed.Distribution(t, testbed.Options{})
	img := testbed.Index(t, full, "app", "v1", 2)
	_, found := check(t, dray.Settings{}, dray.CheckRequest{Source: "src/app:v1"}, full)
	wants(t, found, "source content", dray.OK, "all of it is there: manifests 3, blobs 5", "")

	for name, gone := range map[string]struct {
		kind   testbed.Kind
		digest string
		want   string
	}{
		"a child": {testbed.Manifest, string(img.Children[1].Digest), "it lists " + string(img.Children[1].Digest) + " (linux/"},
		"a layer": {testbed.Blob, string(img.Layers[0].Digest), "): it lists " + string(img.Layers[0].Digest)},
	} {
		t.Run(name, func(t *testing.T) {
			lost := hostile.Status(404, nil, "").On("GET", gone.kind).At(gone.digest)
			lostHead := hostile.Status(404, nil, "").On("HEAD", gone.kind).At(gone.digest)
			reg := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), lost, lostHead)
			testbed.Index(t, reg, "app", "v1", 2)
			rep, found := check(t, dray.Settings{}, dray.CheckRequest{Source: "src/app:v1"}, reg)
			wants(t, found, "source content", dray.Fail, gone.want, "push the image again")
			if rep.Ready || !fault.Is(rep.Err(), fault.NotFound) {
				t.Errorf("%v %s", rep.Err(), rep.Verdict)
			}
		})
	}
}

func TestCheckAdvisesAsACopyDoes(t *testing.T) {
	negotiate := http.Header{}
	negotiate.Set("WWW-Authenticate", "Negotiate")
	src := testbed.Distribution(t, testbed.Options{})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{})
	for name, f := range map[string]*hostile.Fault{
		"refused without a challenge": hostile.Error(403, "DENIED", "requested access to the resource is denied").On("POST", testbed.Upload),
		"a challenge of another kind": hostile.Status(401, negotiate, ""),
	} {
		t.Run(name, func(t *testing.T) {
			dst := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), f)
			_, found := check(t, dray.Settings{}, dray.CheckRequest{Source: "src/app:v1", Target: "dst/app"}, src, dst)
			d, err := dray.New(dray.Config{Settings: dray.Settings{PlainHTTP: true}})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			req := dray.CopyRequest{Source: src.Host + "/app:v1", Targets: []string{dst.Host + "/app:v1"}}
			plan, err := d.PlanCopy(t.Context(), req, nil)
			if err == nil {
				rep, applyErr := d.Apply(t.Context(), plan, nil)
				err = cmp.Or(applyErr, rep.Err())
			}
			hint := fault.HintOf(err)
			if hint == "" {
				t.Fatalf("%v", err)
			}
			wants(t, found, "target push", dray.Fail, "", hint)
			if _, cause, _ := strings.Cut(err.Error(), "denied: "); cause != found["target push"].Text {
				t.Errorf("a copy says %q, a check %q", cause, found["target push"].Text)
			}
		})
	}
	down := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), hostile.Status(503, nil, ""))
	_, found := check(t, dray.Settings{}, dray.CheckRequest{Source: "src/app:v1"}, down)
	wants(t, found, "source reached", dray.Warn, "503", "try again later")
}
