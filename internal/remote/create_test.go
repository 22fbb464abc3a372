package remote_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

const ecrName = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"

// ecr is a registry whose repositories must be created by its API, as at ECR.
type ecr struct {
	*testbed.Registry
	api  *httptest.Server
	mu   sync.Mutex
	made map[string]bool
	asks []string // actions that the API was asked for
	says string   // an error of the API; "" creates what is requested

	hidden bool // tags/list is forbidden
}

func newECR(t *testing.T) *ecr {
	t.Helper()
	e := &ecr{made: map[string]bool{}}
	e.Registry = testbed.Distribution(t, testbed.Options{Front: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			at := testbed.Parse(r.URL.Path)
			e.mu.Lock()
			made := e.made[at.Repo]
			e.mu.Unlock()
			switch {
			case e.hidden && at.Kind == testbed.Tags:
				w.WriteHeader(http.StatusForbidden)
			case at.Repo == "" || made:
				next.ServeHTTP(w, r)
			case r.Method == http.MethodPost: // the connection is cut off, as observed at ECR
				panic(http.ErrAbortHandler)
			default:
				w.WriteHeader(http.StatusNotFound)
				fmt.Fprintf(w, `{"errors":[{"code":"NAME_UNKNOWN","message":"The repository with name '%s' does not exist"}]}`, at.Repo)
			}
		})
	}})
	e.api = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ RepositoryName, RegistryID string }
		raw, _ := io.ReadAll(r.Body)
		_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		if json.Unmarshal(raw, &body) != nil || r.Method != http.MethodPost || r.URL.Path != "/" || body.RegistryID != "123456789012" ||
			!strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKID/") {
			t.Errorf("%s %s %s", r.Method, r.URL, raw)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.asks = append(e.asks, action)
		if e.says != "" {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, e.says)
			return
		}
		if action == "DescribeRepositories" {
			io.WriteString(w, `{"repositories":[{"imageTagMutability":"IMMUTABLE"}]}`)
			return
		}
		e.made[body.RepositoryName] = true
		io.WriteString(w, `{"repository":{}}`)
	}))
	t.Cleanup(e.api.Close)
	return e
}

func (e *ecr) options(create credential.Create) func(*remote.Options) {
	env := map[string]string{"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "canary", "AWS_ENDPOINT_URL_ECR": e.api.URL}
	return func(o *remote.Options) {
		o.Hosts = map[string]credential.Settings{ecrName: {PlainHTTP: true, Create: create}}
		o.ECR = credential.ECR{Cloud: credential.Cloud{Env: func(k string) string { return env[k] }}}.Repositories()
		o.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, e.Host)
		}
		o.Retries = -1
	}
}

// notes are the Noted events of one watcher.
type notes struct {
	mu  sync.Mutex
	all []string
}

func (n *notes) see(e event.Event) {
	if e.Kind == event.Noted {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.all = append(n.all, e.Text)
	}
}

func (n *notes) String() string { return strings.Join(n.all, "; ") }

// push puts n blobs concurrently, as the engine does.
func push(t *testing.T, r *remote.Repository, n int) error {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		raw, d := noise(t, uint64(i), 100)
		wg.Go(func() { _, errs[i] = r.Put(t.Context(), d, nil, opener(raw)) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestAMissingECRRepositoryIsCreatedOnceBeforeAnythingIsSent(t *testing.T) {
	e := newECR(t)
	c := client(t, e.options(credential.CreatePrivate))
	var heard notes
	for range 2 {
		r := c.Open(ref.Repo{Host: ecrName, Path: "team/app"}, remote.Use{Actions: remote.Push, Observe: event.Watch{Events: heard.see}})
		must(t, push(t, r, 5))
	}
	if got := fmt.Sprint(e.asks); got != "[CreateRepository]" {
		t.Error(got)
	}
	if got := heard.String(); got != "created the ECR repository "+ecrName+"/team/app" {
		t.Error(got)
	}
	if n := e.Count("GET", testbed.Tags); n != 1 {
		t.Errorf("%d requests asked whether the repository exists\n%s", n, e.Story())
	}
}

func TestARepositoryThatIsThereIsNotCreated(t *testing.T) {
	e := newECR(t)
	e.made["app"] = true
	testbed.Random(t, e.Registry, "app", "v1", testbed.RandomOptions{})
	must(t, push(t, client(t, e.options(credential.CreatePrivate)).Open(ref.Repo{Host: ecrName, Path: "app"}, remote.Use{Actions: remote.Push}), 3))
	if len(e.asks) != 0 {
		t.Error(e.asks)
	}
}

func TestSomebodyElseCreatingTheRepositoryMeanwhileIsFine(t *testing.T) {
	e := newECR(t)
	e.says = `{"__type":"RepositoryAlreadyExistsException","message":"there"}`
	c := client(t, e.options(credential.CreatePrivate))
	r := c.Open(ref.Repo{Host: ecrName, Path: "app"}, remote.Use{Actions: remote.Push})
	_, d := noise(t, 1, 100)
	missing, err := r.Missing(t.Context(), []oci.Descriptor{d})
	if err != nil || len(missing) != 1 {
		t.Fatal(missing, err)
	}
}

func TestWithoutTheSettingTheHintNamesIt(t *testing.T) {
	e := newECR(t)
	err := push(t, client(t, e.options(credential.CreateNothing)).Open(ref.Repo{Host: ecrName, Path: "app"}, remote.Use{Actions: remote.Push}), 1)
	if hint := fault.HintOf(err); !strings.Contains(hint, "set create: private for this registry") {
		t.Errorf("%v (hint: %s)", err, hint)
	}
	if len(e.asks) != 0 {
		t.Error(e.asks)
	}
}

func TestAnIdentityThatMayNotCreateIsToldWhichRightItLacks(t *testing.T) {
	e := newECR(t)
	e.says = `{"__type":"AccessDeniedException","message":"not authorized to perform: ecr:CreateRepository"}`
	err := push(t, client(t, e.options(credential.CreatePrivate)).Open(ref.Repo{Host: ecrName, Path: "app"}, remote.Use{Actions: remote.Push}), 1)
	wantKind(t, err, fault.Denied)
	if !strings.Contains(err.Error(), "create repository "+ecrName+"/app: ask aws environment") || !strings.Contains(fault.HintOf(err), "ecr:CreateRepository") || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
}

// harbor refuses everything in projects that were not created, as Harbor does.
type harbor struct {
	*testbed.Registry
	mu   sync.Mutex
	made map[string]string // from the project to "public" in its metadata
	asks []string
	may  bool
}

func newHarbor(t *testing.T) *harbor {
	t.Helper()
	h := &harbor{made: map[string]string{}, may: true}
	exists := func(project string) bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.made[project] != ""
	}
	h.Registry = testbed.Distribution(t, testbed.Options{
		Auth: testbed.Auth{Mode: testbed.Bearer, Service: "harbor-registry", May: func(_, repo, _ string) bool {
			project, _, _ := strings.Cut(repo, "/")
			return exists(project)
		}},
		Front: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/api/") {
					h.serve(t, w, r)
					return
				}
				next.ServeHTTP(w, r)
			})
		}})
	return h
}

func (h *harbor) serve(t *testing.T, w http.ResponseWriter, r *http.Request) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asks = append(h.asks, r.Method+" "+r.URL.RequestURI())
	if user, password, ok := r.BasicAuth(); !ok || user != "user" || password != testbed.Password {
		t.Errorf("%s was requested without the login: %v", r.URL, r.Header)
	}
	switch {
	case r.Method == http.MethodHead && r.URL.Path == "/api/v2.0/projects":
		if h.made[r.URL.Query().Get("project_name")] == "" {
			w.WriteHeader(http.StatusNotFound)
		}
	case r.Method == http.MethodPost && r.URL.Path == "/api/v2.0/projects" && r.Header.Get("Content-Type") == "application/json":
		var body struct {
			Name     string            `json:"project_name"`
			Metadata map[string]string `json:"metadata"`
		}
		dec := json.NewDecoder(r.Body)
		dec.DisallowUnknownFields()
		if dec.Decode(&body) != nil || body.Name == "" || len(body.Metadata) != 1 {
			t.Errorf("%+v", body)
		}
		switch {
		case !h.may:
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"errors":[{"code":"FORBIDDEN","message":"only system admins may create projects"}]}`)
		case h.made[body.Name] != "":
			w.WriteHeader(http.StatusConflict)
		default:
			h.made[body.Name] = body.Metadata["public"]
			w.WriteHeader(http.StatusCreated)
		}
	case r.Method == http.MethodGet && r.URL.EscapedPath() == "/api/v2.0/projects/lib/repositories/team%252Fapp/artifacts/v1/tags":
		if r.URL.Query().Get("with_immutable_status") != "true" {
			t.Error(r.URL)
		}
		io.WriteString(w, `[{"name":"v1","immutable":true},{"name":"v2","immutable":false}]`)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (h *harbor) settings(create credential.Create) func(*remote.Options) {
	return withHost(h.Registry, credential.Settings{Kind: "harbor", Create: create})
}

func TestAMissingHarborProjectIsCreatedOnce(t *testing.T) {
	for create, public := range map[credential.Create]string{credential.CreatePrivate: "false", credential.CreatePublic: "true"} {
		h := newHarbor(t)
		var heard notes
		c := client(t, withLogin, h.settings(create))
		for _, path := range []string{"team/app", "team/web"} {
			r := c.Open(repo(h.Registry, path), remote.Use{Actions: remote.Push, Observe: event.Watch{Events: heard.see}})
			_, err := r.Resolve(t.Context(), "v1")
			wantKind(t, err, fault.NotFound)
			must(t, push(t, r, 3))
		}
		if h.made["team"] != public || heard.String() != fmt.Sprintf("created the %s Harbor project %s/team", create, h.Host) {
			t.Error(h.made, heard.String())
		}
		posts := strings.Count(strings.Join(h.asks, "\n"), "POST ")
		if posts != 1 {
			t.Error(h.asks)
		}
	}
}

func TestALoginThatMayNotCreateProjectsIsToldSo(t *testing.T) {
	h := newHarbor(t)
	h.may = false
	err := push(t, client(t, withLogin, h.settings(credential.CreatePrivate)).Open(repo(h.Registry, "team/app"), remote.Use{Actions: remote.Push}), 1)
	wantKind(t, err, fault.Denied)
	if !strings.Contains(err.Error(), "create project "+h.Host+"/team: denied: the registry answers 403 FORBIDDEN: only system admins") || !strings.Contains(fault.HintOf(err), "administrator") {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
}

func TestHarborsAPIIsLeftAloneWithoutTheSetting(t *testing.T) {
	h := newHarbor(t)
	r := client(t, withLogin, h.settings(credential.CreateNothing)).Open(repo(h.Registry, "team/app"), remote.Use{Actions: remote.Push})
	_, err := r.Resolve(t.Context(), "v1")
	wantKind(t, err, fault.Denied)
	if len(h.asks) != 0 {
		t.Error(h.asks)
	}
}
