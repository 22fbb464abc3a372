package azure_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	azfake "github.com/Azure/azure-sdk-for-go/sdk/azcore/fake"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerregistry/armcontainerregistry"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerregistry/armcontainerregistry/fake"

	"github.com/drayage/dray"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

type (
	parameters = armcontainerregistry.ImportImageParameters
	result     = armcontainerregistry.RegistriesClientImportImageResponse
)

const (
	sub   = "/subscriptions/0f8fad5b-d9cb-469f-a165-70867728950e"
	group = sub + "/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/"
)

// cloud is Azure as its SDK for Go fakes it, with a real import into a real registry behind it.
type cloud struct {
	t      *testing.T
	srv    *httptest.Server
	y      *yard.Yard
	copier *dray.Dray

	mu     sync.Mutex
	ops    map[string]*fake.RegistriesServerTransport
	orders []parameters
	tokens []string
	// refuse, if not nil, returns the code of the error with which an import fails; "" lets it go on.
	refuse func(parameters) string
	// brings, if not nil, reports whether an import that succeeds brings anything.
	brings func(parameters) bool
}

func newCloud(t *testing.T, y *yard.Yard) *cloud {
	t.Helper()
	c := &cloud{t: t, y: y, ops: map[string]*fake.RegistriesServerTransport{}}
	d, err := dray.New(dray.Config{Settings: dray.Settings{PlainHTTP: true}, UserAgent: "azure"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	c.copier = d
	c.srv = httptest.NewServer(c)
	t.Cleanup(c.srv.Close)
	return c
}

// importImage does what Azure does: it copies the image, and sets the tags that are asked for.
func (c *cloud) importImage(_ context.Context, _, name string, in parameters, _ *armcontainerregistry.RegistriesClientBeginImportImageOptions) (resp azfake.PollerResponder[result], errResp azfake.ErrorResponder) {
	c.mu.Lock()
	c.orders = append(c.orders, in)
	code, brings := "", true
	if c.refuse != nil {
		code = c.refuse(in)
	}
	if c.brings != nil {
		brings = c.brings(in)
	}
	c.mu.Unlock()
	switch code {
	case "":
	case "AuthorizationFailed":
		errResp.SetResponseError(http.StatusForbidden, code)
		return resp, errResp
	default:
		resp.AddNonTerminalResponse(http.StatusAccepted, nil)
		resp.SetTerminalError(http.StatusBadRequest, code)
		return resp, errResp
	}
	if brings {
		from := c.y.Src.Host + "/" + *in.Source.SourceImage
		for _, repo := range in.UntaggedTargetRepositories {
			_, err := apply(c.t.Context(), c.copier, dray.CopyRequest{Source: from, Targets: []string{c.y.Dst.Host + "/" + *repo}, Referrers: plan.Referrers{Mode: plan.ReferrersNone}})
			if err != nil {
				resp.SetTerminalError(http.StatusBadRequest, "InvalidParameters")
				return resp, errResp
			}
		}
		for _, tag := range in.TargetTags {
			_, err := apply(c.t.Context(), c.copier, dray.CopyRequest{Source: from, Targets: []string{c.y.Dst.Host + "/" + *tag}, Referrers: plan.Referrers{Mode: plan.ReferrersNone}})
			if err != nil {
				resp.SetTerminalError(http.StatusNotFound, "ManifestUnknown")
				return resp, errResp
			}
		}
	}
	resp.AddNonTerminalResponse(http.StatusAccepted, nil)
	resp.SetTerminalResponse(http.StatusOK, result{}, nil)
	return resp, errResp
}

func apply(ctx context.Context, d *dray.Dray, req dray.CopyRequest) (dray.Report, error) {
	p, err := d.PlanCopy(ctx, req, nil)
	if err != nil {
		return dray.Report{}, err
	}
	return d.Apply(ctx, p, nil)
}

// ServeHTTP lets clients reach the fake over HTTP. The SDK's own clients find its polls by a header that Azure does
// not have; others find them by the Location that Azure has.
func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token") {
		_ = r.ParseForm()
		_ = json.NewEncoder(w).Encode(map[string]any{"token_type": "Bearer", "expires_in": 3600, "access_token": "token-for-" + url.PathEscape(r.PostForm.Get("scope"))})
		return
	}
	c.mu.Lock()
	c.tokens = append(c.tokens, r.Header.Get("Authorization"))
	in := r.Clone(context.WithValue(r.Context(), runtime.CtxAPINameKey{}, "RegistriesClient.BeginImportImage"))
	in.URL.Scheme, in.URL.Host = "http", r.Host
	// The fake follows one import of a registry at a time, so each import has a fake of its own.
	op, server := r.URL.Query().Get("op"), c.ops[r.URL.Query().Get("op")]
	if server == nil {
		op, server = strconv.Itoa(len(c.ops)+1), fake.NewRegistriesServerTransport(&fake.RegistriesServer{BeginImportImage: c.importImage})
		c.ops[op] = server
	}
	c.mu.Unlock()
	resp, err := server.Do(in)
	var failed *azcore.ResponseError
	switch {
	case errors.As(err, &failed):
		w.WriteHeader(failed.StatusCode)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"code": failed.ErrorCode, "message": "it failed"}})
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusNotImplemented)
		return
	}
	defer resp.Body.Close()
	if state := resp.Header.Get("Fake-Poller-Status"); state != "" && state != "Succeeded" {
		at := strings.TrimSuffix(r.URL.Path, "/get/fake/status") + "/get/fake/status"
		w.Header().Set("Location", "http://"+r.Host+at+"?op="+op)
		w.Header().Set("Retry-After-Ms", "1")
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

// dray returns a Dray that imports through c.
func (c *cloud) dray(via dray.Via, state string) *dray.Dray {
	c.t.Helper()
	return c.with(dray.Config{Via: via, StateDir: state})
}

// with returns a Dray with some settings that imports through c.
func (c *cloud) with(cfg dray.Config) *dray.Dray {
	c.t.Helper()
	env := map[string]string{"AZURE_CLIENT_ID": "client", "AZURE_TENANT_ID": "tid", "AZURE_CLIENT_SECRET": "hunter2hunter2", "AZURE_AUTHORITY_HOST": c.srv.URL}
	if cfg.Via != dray.ViaAuto {
		cfg.Limits.Images = 1 // so that the second image meets what the first one taught
	}
	cfg.Cloud = credential.Cloud{Env: func(name string) string { return env[name] }}
	cfg.Registries = map[string]dray.Registry{
		"src": {Host: c.y.Src.Host, Settings: dray.Settings{PlainHTTP: true}},
		"dst": {Host: c.y.Dst.Host, Settings: dray.Settings{PlainHTTP: true, ResourceID: group + "dst", ResourceManager: c.srv.URL}},
	}
	d, err := dray.New(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(d.Close)
	return d
}

func TestAzureBringsTheBlobsAndDraySetsTheTags(t *testing.T) {
	y := yard.New(t)
	c := newCloud(t, y)
	img := testbed.Index(t, y.Src, "app", "v1", 3)
	y.Dray = c.dray(dray.ViaAzure, "")
	y.Forget()
	req := dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1", "dst/app:latest", "dst/other/app:v1"}}
	rep := y.Must(y.Copy(req))
	var brought int
	for _, s := range rep.Steps {
		if s.Via != "azure" || s.NotByAzure != nil || s.Blobs.Sent != 0 {
			t.Errorf("%+v", s)
		}
		brought += s.Blobs.Brought
	}
	if len(c.orders) != 1 || brought == 0 {
		t.Fatalf("%d orders, %d blobs", len(c.orders), brought)
	}
	o := c.orders[0]
	if got := *o.Source.SourceImage; got != "app@"+img.Digest() || *o.Source.RegistryURI != y.Src.Host || o.Source.Credentials != nil {
		t.Errorf("%+v", o.Source)
	}
	if len(o.TargetTags) != 0 || len(o.UntaggedTargetRepositories) != 2 {
		t.Errorf("Azure was asked to set tags, or not for both repositories: %+v", o)
	}
	for _, to := range [][2]string{{"app", "v1"}, {"app", "latest"}, {"other/app", "v1"}} {
		testbed.Same(t, y.Src, y.Dst, "app", "v1", to[0], to[1])
	}
	if _, err := y.Copy(req); err != nil || len(c.orders) != 1 {
		t.Errorf("the second run is not free: %v, %d orders", err, len(c.orders))
	}
	if slices.ContainsFunc(c.tokens, func(s string) bool { return s != "Bearer token-for-"+url.PathEscape(c.srv.URL+"/.default") }) {
		t.Error(c.tokens)
	}
}

// A firewall lets only Azure in.
func TestAnImageThatOnlyAzureSeesIsImportedByItsTagAndLookedAt(t *testing.T) {
	plain := testbed.NewDistribution(t, testbed.Options{})
	walled := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.UserAgent(), "dray") {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"client with IP '192.0.2.1' is not allowed access"}]}`)
			return
		}
		plain.ServeHTTP(w, r)
	})
	y := yard.Of(t, testbed.Serve(t, walled, testbed.Options{}), testbed.Distribution(t, testbed.Options{}))
	c := newCloud(t, y)
	y.Tagged("app", "v1", "v2")
	for _, accept := range []bool{false, true} {
		y.Dray = c.with(dray.Config{Via: dray.ViaAzure, AcceptUnseen: accept})
		rep, err := y.Import(dray.ImportRequest{Source: "src/app:v1", Target: "dst", Images: []string{"team/app:v1", "team/app:latest"}})
		if !accept {
			if !fault.Is(err, fault.Refused) || !strings.Contains(fault.HintOf(err), "--accept-unseen") || len(c.orders) != 0 || !strings.Contains(err.Error(), "not allowed access") {
				t.Errorf("%v (%s), %d orders", err, fault.HintOf(err), len(c.orders))
			}
			continue
		}
		if err != nil || rep.Count(dray.Done) != 2 || !rep.Steps[0].Unseen || rep.Steps[0].From.Tag != "v1" {
			t.Fatalf("%v %+v", err, rep.Steps)
		}
	}
	testbed.Same(t, y.Src, y.Dst, "app", "v1", "team/app", "v1")
	testbed.Same(t, y.Src, y.Dst, "app", "v1", "team/app", "latest")
	if o := c.orders[0]; *o.Mode != armcontainerregistry.ImportModeNoForce || len(o.UntaggedTargetRepositories) != 0 || *o.Source.SourceImage != "app:v1" || !strings.HasPrefix(*o.TargetTags[0], "team/app:dray-unseen-") {
		t.Errorf("%+v", o)
	}

	// The tag exists: nobody can tell whether it is up to date, so it is a conflict before Azure is asked.
	before := len(c.orders)
	if _, err := y.Import(dray.ImportRequest{Source: "src/app:v2", Target: "dst", Images: []string{"team/app:v1"}}); !fault.Is(err, fault.Conflict) || len(c.orders) != before {
		t.Errorf("%v, %d orders", err, len(c.orders)-before)
	}
	old := testbed.CraneDigest(t, y.Dst, "team/app", "v1")
	rep, err := y.Import(dray.ImportRequest{Source: "src/app:v2", Target: "dst", Images: []string{"team/app:v1"}, Overwrite: plan.Update, Backup: plan.Backup{Template: "{tag}-old"}})
	if err != nil || rep.Steps[0].Backup != "v1-old" || testbed.CraneDigest(t, y.Dst, "team/app", "v1-old") != old {
		t.Errorf("%v %+v", err, rep.Steps)
	}
	testbed.Same(t, y.Src, y.Dst, "app", "v2", "team/app", "v1")

	// A list: what Azure does not bring whole gets no tag. A gate admits nothing that it cannot see.
	c.brings = func(in parameters) bool { return *in.Source.SourceImage != "app:v2" }
	batch := dray.BatchRequest{Target: "dst", Entries: []dray.BatchEntry{{Source: "src/app:v1", Targets: []string{"list:v1"}}, {Source: "src/app:v2", Targets: []string{"list:v2"}}}}
	rep, err = y.Applied(y.PlanBatch(t.Context(), batch, nil))
	if got := yard.States(rep); err == nil || !strings.Contains(got, "list:v1 done") || !strings.Contains(got, "list:v2 failed") {
		t.Errorf("%s %v", got, err)
	}
	batch.Gate, before = gate.All{}, len(c.orders)
	if rep, err := y.Applied(y.PlanBatch(t.Context(), batch, nil)); !fault.Is(err, fault.Refused) || rep.Count(dray.Failed) != 2 || len(c.orders) != before {
		t.Errorf("%v, %d orders, %s", err, len(c.orders)-before, yard.States(rep))
	}
	staged, removed := 0, 0
	for _, q := range y.Dst.Log() {
		if strings.HasPrefix(q.Ref, "dray-unseen") && q.Kind == testbed.Manifest && q.Method == http.MethodPut {
			staged++
		} else if strings.HasPrefix(q.Ref, "dray-unseen") && q.Method == http.MethodDelete {
			removed++
		}
	}
	if staged == 0 || removed < staged {
		t.Errorf("%d images were staged, and %d of their tags removed", staged, removed)
	}
}

// Azure brings blobs, and nothing else changes: who may set tags, what is kept, when nothing is set, what travels.
func TestWhatHoldsForTagsHoldsForThemAfterAnImportByAzure(t *testing.T) {
	y := yard.New(t)
	c := newCloud(t, y)
	y.Tagged("app", "v1", "v2", "latest")
	signed := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{Seed: 1})
	sbom := testbed.Artifact(t, y.Src, "app", "", signed.Root)
	old := testbed.Random(t, y.Dst, "mirror", "v2", testbed.RandomOptions{Seed: 50})
	y.Dray = c.dray(dray.ViaAzure, "")
	y.Forget()
	req := dray.TransferRequest{Sources: []string{"src/app"}, Target: "dst/mirror", Backup: plan.Backup{Template: "{tag}-old"}}
	_, sum, err := y.Transferred(req)
	if err != nil || sum.States[dray.Done] != 3 || sum.Blobs.Sent != 2 || sum.Blobs.Brought == 0 {
		t.Fatalf("%v %+v", err, sum)
	}
	for _, tag := range []string{"v1", "v2", "latest"} {
		testbed.Same(t, y.Src, y.Dst, "app", tag, "mirror", tag)
	}
	if kept := testbed.CraneDigest(t, y.Dst, "mirror", "v2-old"); kept != old.Digest() || testbed.CraneDigest(t, y.Dst, "mirror", sbom.Digest()) != sbom.Digest() {
		t.Errorf("v2-old is %s, want %s", kept, old.Digest())
	}
	blobs := 0
	for _, q := range y.Src.Log() {
		if q.Kind == testbed.Blob && q.Method == http.MethodGet {
			blobs++
		}
	}
	t.Log(blobs, "blobs were read, by Azure and for the SBOM")

	// All or nothing: one image is not imported, so no tag is set.
	c.refuse = func(in parameters) string {
		if strings.Contains(*in.Source.SourceImage, signed.Digest()) {
			return "InvalidParameters"
		}
		return ""
	}
	rep, err := y.Import(dray.ImportRequest{Source: "src/app", Target: "dst", Images: []string{"held"}, Tags: []string{"v1", "v2"}, Hold: plan.All})
	if err == nil || rep.Count(dray.Done) != 0 {
		t.Errorf("%v %s", err, yard.States(rep))
	}
	for _, q := range y.Dst.Log() {
		if q.Method == http.MethodPut && q.Kind == testbed.Manifest && strings.HasPrefix(q.Path, "/v2/held/") && !strings.HasPrefix(q.Ref, "sha256:") {
			t.Errorf("%s was set", q.Ref)
		}
	}

	// always proves all of it; a platform, and a target elsewhere, are not for Azure.
	c.refuse = nil
	if rep, err := y.Copy(dray.CopyRequest{Source: "src/app:v2", Targets: []string{"dst/proven:v2"}, Overwrite: plan.Always}); err != nil || rep.Steps[0].Blobs.Proven == 0 || rep.Steps[0].Via != "azure" {
		t.Errorf("%v %+v", err, rep.Steps)
	}
	orders := len(c.orders)
	y.Dray = c.dray(dray.ViaAuto, "")
	testbed.Index(t, y.Src, "multi", "v1", 2)
	rep, err = y.Copy(dray.CopyRequest{Source: "src/multi:v1", Targets: []string{"dst/multi:v1", "src/elsewhere:v1"}, Platforms: plan.Platforms{Only: []oci.Platform{{OS: "linux", Architecture: "amd64"}}}})
	if err != nil || len(c.orders) != orders || rep.Steps[0].Via != "dray" || !strings.Contains(rep.Steps[0].NotByAzure.Message, "all platforms") || rep.Steps[1].Via != "" {
		t.Errorf("%v %d %+v", err, len(c.orders)-orders, rep.Steps)
	}
}

// An image goes to Azure's registry and to another one at the same time: one does not wait for the other's blobs.
func TestTargetsElsewhereAreServedByDrayAtTheSameTime(t *testing.T) {
	y := yard.New(t)
	c := newCloud(t, y)
	y.Tagged("app", "v1", "v2", "v3", "v4")
	third, fourth := testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{})
	c.refuse = func(in parameters) string {
		if len(c.orders)%2 == 0 {
			return "InvalidParameters"
		}
		return ""
	}
	y.Dray = c.with(dray.Config{Via: dray.ViaAuto, Settings: dray.Settings{PlainHTTP: true}})
	rep, err := y.Copy(dray.CopyRequest{Source: "src/app", Targets: []string{third.Host + "/a", "dst/b", fourth.Host + "/c", "dst/d"}, Tags: dray.AllTags})
	if err != nil || rep.Count(dray.Done) != 16 {
		t.Fatal(err, yard.States(rep))
	}
	ways := map[string]int{}
	for _, s := range rep.Steps {
		ways[s.Via]++
	}
	if ways["azure"] < 2 || ways["dray"] < 2 || ways[""] != 8 {
		t.Errorf("%v of %d orders", ways, len(c.orders))
	}
	for _, tag := range []string{"v1", "v2", "v3", "v4"} {
		testbed.Same(t, y.Src, third, "app", tag, "a", tag)
		testbed.Same(t, y.Src, y.Dst, "app", tag, "b", tag)
		testbed.Same(t, y.Src, fourth, "app", tag, "c", tag)
		testbed.Same(t, y.Src, y.Dst, "app", tag, "d", tag)
	}
}

func TestWhatAzureDoesNotImportFailsOrIsCopiedByDray(t *testing.T) {
	y := yard.New(t)
	c := newCloud(t, y)
	y.Tagged("app", "v1", "v2")
	for name, tt := range map[string]struct {
		refuse func(parameters) string
		brings func(parameters) bool
		kind   fault.Kind
		orders int // for both images
	}{
		"an import that fails":            {func(parameters) string { return "InvalidParameters" }, nil, fault.Refused, 2},
		"a source that azure may not see": {func(parameters) string { return "Unauthorized" }, nil, fault.Denied, 2},
		"no right to import":              {func(parameters) string { return "AuthorizationFailed" }, nil, fault.Denied, 1},
		"an import that brings nothing":   {nil, func(parameters) bool { return false }, fault.Corrupt, 2},
	} {
		t.Run(name, func(t *testing.T) {
			c.mu.Lock()
			c.refuse, c.brings = tt.refuse, tt.brings
			c.mu.Unlock()
			to := "dst/" + strings.ReplaceAll(name, " ", "-")
			for _, via := range []dray.Via{dray.ViaAzure, dray.ViaAuto} {
				c.orders = nil
				d := c.dray(via, "")
				p, err := d.PlanCopy(t.Context(), dray.CopyRequest{Source: "src/app", Targets: []string{to + "-" + string(via)}, Tags: dray.AllTags}, nil)
				if err != nil {
					t.Fatal(err)
				}
				rep, err := d.Apply(t.Context(), p, nil)
				if via == dray.ViaAuto && (err != nil || rep.Count(dray.Done) != 2 || rep.Steps[0].Via != "dray" || rep.Steps[0].NotByAzure.Kind != tt.kind) {
					t.Errorf("auto: %v %+v", err, rep.Steps)
				}
				if via == dray.ViaAzure && (!fault.Is(err, tt.kind) || rep.Count(dray.Failed) != 2 || fault.HintOf(err) == "" || rep.Steps[0].Blobs.Sent != 0) {
					t.Errorf("azure: %v (%s) %+v", err, fault.HintOf(err), rep.Steps)
				}
				if len(c.orders) > 2 || len(c.orders) < tt.orders {
					t.Errorf("%s: %d orders", via, len(c.orders))
				}
			}
		})
	}
}
