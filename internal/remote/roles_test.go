package remote_test

import (
	"strings"
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// F-31: a refusal says what to do about it.
func TestARefusalIsWordedByWhatRefuses(t *testing.T) {
	firewall := "client with IP '203.0.113.9' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."
	for _, tt := range []struct {
		kind   string
		status int
		code   string
		text   string
		want   fault.Kind
		hint   string
	}{
		{"acr", 403, "DENIED", firewall, fault.Denied, "or run a dray server inside that network"},
		{"acr", 403, "DENIED", "requested access to the resource is denied", fault.Denied, "for AcrPush (with ABAC"},
		{"ecr", 403, "DENIED", "User is not authorized to perform: ecr:InitiateLayerUpload", fault.Denied, "ecr:PutImage"},
		{"generic", 403, "DENIED", "no", fault.Denied, "for the right to push"},
		{"harbor", 404, "NOT_FOUND", "project team not found", fault.NotFound, "set create: private for this registry"},
		{"harbor", 403, "FORBIDDEN", "project team not found", fault.Denied, "set create: private for this registry"},
		{"ecr", 404, "NAME_UNKNOWN", "The repository with name 'x' does not exist", fault.NotFound, "set create: private for this registry"},
		{"gitlab", 404, "NAME_UNKNOWN", "no such project", fault.NotFound, "create the repository first; this registry does not create it on push"},
	} {
		reg := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), hostile.Error(tt.status, tt.code, tt.text).On("POST", ""))
		r := client(t, withHost(reg, credential.Settings{Kind: tt.kind})).Open(repo(reg, "team/app"), remote.Use{Actions: remote.Push})
		err := push(t, r, 1)
		if !fault.Is(err, tt.want) || !strings.Contains(fault.HintOf(err), tt.hint) {
			t.Errorf("%s %d %s: %v (hint: %s)", tt.kind, tt.status, tt.text, err, fault.HintOf(err))
		}
	}
}

// Each message says which login was used and where it came from, and the hint names that place.
func TestARefusalNamesTheLoginAndItsPlace(t *testing.T) {
	readOnly := func(_, _, action string) bool { return action == "pull" }
	from := func(place string) credential.Login {
		return credential.Login{User: "user", Password: credential.New(testbed.Password), From: place}
	}
	wrong := func(place string) credential.Login {
		return credential.Login{User: "ann", Password: credential.New("wr0ng-canary-7f3a91"), From: place}
	}
	const file = "docker config ~/.docker/config.json"
	for _, tt := range []struct {
		name  string
		login credential.Login
		says  string // for HOST, the name of the registry
		hint  string
	}{
		{"no right, file", from(file), "; the login is user user, from " + file, "give this login the right to push, or log in with another login: dray login HOST"},
		{"no right, flag", from("flag --dst-creds"), "from flag --dst-creds", "give this login the right to push, or use another login in flag --dst-creds"},
		{"no right, cloud", from("azure workload identity"), "from azure workload identity", "give this login the right to push"},
		{"wrong, file", wrong(file), "; the login is user ann, from " + file, "log in with: dray login HOST"},
		{"wrong, helper", wrong("credential helper docker-credential-x"), "from credential helper docker-credential-x", "log in with: dray login HOST"},
		{"wrong, variable", wrong("env DRAY_DST_CREDS"), "from env DRAY_DST_CREDS", "correct the login in env DRAY_DST_CREDS"},
		{"wrong, config", wrong("config c.yaml:7"), "from config c.yaml:7", "correct the login in config c.yaml:7"},
		{"wrong, cloud", wrong("aws profile x"), "from aws profile x", "check that this identity may use HOST"},
		{"wrong, typed", wrong(""), "; the login is user ann", "check the user and the password"},
		{"none", credential.Login{}, "; no login for HOST was found", "log in with: dray login HOST"},
	} {
		for _, mode := range []testbed.Mode{testbed.Basic, testbed.Bearer} {
			bubble(t, nil, func(b *bench) {
				err := push(b.T, b.repo, 1)
				wantKind(b, err, fault.Denied)
				if says := strings.ReplaceAll(tt.says, "HOST", b.r.Host); !strings.HasSuffix(err.Error(), says) {
					b.Errorf("%s, %s: %v does not end with %q", tt.name, mode, err, says)
				}
				if hint := strings.ReplaceAll(tt.hint, "HOST", b.r.Host); fault.HintOf(err) != hint {
					b.Errorf("%s, %s: hint %q", tt.name, mode, fault.HintOf(err))
				}
				if strings.Contains(err.Error()+fault.HintOf(err), "canary") {
					b.Errorf("%s: %v shows the password", tt.name, err)
				}
			}, auth(testbed.Auth{Mode: mode, May: readOnly}), as(tt.login))
		}
	}
}

func TestARepositoryThatMayNotBeListedIsCreatedOrPushedTo(t *testing.T) {
	for name, mayCreate := range map[string]bool{"created": true, "only pushed to": false} {
		t.Run(name, func(t *testing.T) {
			e := newECR(t)
			e.hidden = true
			if !mayCreate {
				e.made["app"] = true
				e.says = `{"__type":"AccessDeniedException","message":"no"}`
			}
			must(t, push(t, client(t, e.options(credential.CreatePrivate)).Open(ref.Repo{Host: ecrName, Path: "app"}, remote.Use{Actions: remote.Push}), 2))
			if !e.made["app"] {
				t.Error("the repository was not created")
			}
		})
	}
}

func TestTraitsAreKnownWithoutARequest(t *testing.T) {
	c := client(t)
	for host, want := range map[string]remote.Traits{
		ecrName:          {Product: "ecr", Mount: "only if BLOB_MOUNTING is enabled in the account, and only within one account and region", Resume: "no"},
		"x.azurecr.io":   {Product: "acr", Mount: "yes"},
		"docker.io":      {Product: "dockerhub", Mount: "yes", Resume: "yes"},
		"reg.example":    {},
		"127.0.0.1:5000": {},
	} {
		got := c.Traits(host)
		if got.Product != want.Product || got.Mount != want.Mount || got.Resume != want.Resume {
			t.Errorf("%s: %+v", host, got)
		}
	}
}

func TestContactTellsHowFarItCame(t *testing.T) {
	reg := testbed.Distribution(t, testbed.Options{Auth: testbed.Auth{Mode: testbed.Basic}})
	at, err := client(t).Contact(t.Context(), reg.Host, event.Watch{})
	if err != nil || at.Scheme != "http" || at.Status != 401 || at.Address != reg.Host || len(at.Asks) != 1 || at.Asks[0] != "basic" || at.Firewall {
		t.Errorf("%+v %v", at, err)
	}
	if reg.Requests() != 1 {
		t.Error(reg.Story())
	}
	_, err = client(t).Contact(t.Context(), "127.0.0.1:1", event.Watch{})
	wantKind(t, err, fault.Unavailable)
}

func TestAPullLimitIsReadOrLeftAlone(t *testing.T) {
	limits := map[string]int{"100;w=21600": 100, "100": 100, "": 0, "many;w=1": 0, "-5;w=1": 0}
	for product, of := range map[string]map[string]int{"dockerhub": limits, "harbor": {"100;w=21600": 0}} {
		for limit, want := range of {
			reg := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), hostile.Header("RateLimit-Limit", limit), hostile.Header("RateLimit-Remaining", limit))
			img := testbed.Random(t, reg, "app", "v1", testbed.RandomOptions{})
			c := client(t, kind(reg.Host, product))
			d, err := c.Open(repo(reg, "app"), remote.Use{}).Once().Resolve(t.Context(), "v1")
			b, known := c.Budget(reg.Host)
			if err != nil || d.Digest != oci.Digest(img.Digest()) || b.Limit != want || b.Remaining != want || b.Spent() || known != (want > 0) {
				t.Errorf("%s %q: %+v %v", product, limit, b, err)
			}
		}
	}
}
