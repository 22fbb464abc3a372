package azure_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/azure"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

const (
	manager = "http://127.0.0.1:1"
	secret  = "hunter2/tiger?hunter2"
)

// scripted is a resource manager that answers the requests one after the other, and the last answer for ever.
type scripted struct {
	mu     sync.Mutex
	answer []func(w http.ResponseWriter, r *http.Request)
	log    []string
	at     []time.Time
	ids    map[string]bool // of the POST requests
	bodies []string
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	i := min(len(s.log), len(s.answer)-1)
	s.log, s.at = append(s.log, r.Method+" "+r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]), append(s.at, time.Now())
	if r.Method == http.MethodPost {
		s.ids[r.Header.Get("X-Ms-Client-Request-Id")] = true
		s.bodies = append(s.bodies, string(body))
	}
	answer := s.answer[i]
	s.mu.Unlock()
	answer(w, r)
}

func (s *scripted) posts() int { return strings.Count(strings.Join(s.log, ","), "POST") }

type answers []func(http.ResponseWriter, *http.Request)

// status answers with a status, a body and headers.
func status(code int, body string, header ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// cut ends the connection without an answer.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func accepted(header ...string) func(http.ResponseWriter, *http.Request) {
	return status(http.StatusAccepted, `{"status":"Accepted"}`, append([]string{"Location", manager + sub + "/operationResults/op?s=signature"}, header...)...)
}

func failure(code int, name, message string) func(http.ResponseWriter, *http.Request) {
	raw, _ := json.Marshal(map[string]any{"error": map[string]string{"code": name, "message": message}})
	return status(code, string(raw))
}

var done = status(http.StatusOK, `{"status":"Succeeded"}`)

func times(n int, one func(http.ResponseWriter, *http.Request)) (all answers) {
	for range n {
		all = append(all, one)
	}
	return all
}

// client returns a Client of the resource manager s, as a process has it. stop ends it.
func client(s *scripted, state string, answer ...func(http.ResponseWriter, *http.Request)) (c *azure.Client, stop func()) {
	s.answer, s.log, s.at, s.ids, s.bodies = answer, nil, nil, map[string]bool{}, nil
	dial, end := testbed.Pipe(s)
	c = azure.New(azure.Options{
		Settings: func(host string) credential.Settings {
			if host != "dst.azurecr.io" {
				return credential.Settings{}
			}
			return credential.Settings{ResourceID: group + "dst", ResourceManager: manager}
		},
		Tokens: func(context.Context, string, string) (credential.Secret, error) {
			return credential.New("a-token"), nil
		},
		Dial: dial, MaxWait: 10 * time.Minute, Operations: ledger.NewOperations(state),
	})
	return c, func() { c.Close(); end(); synctest.Wait() }
}

// order is an import of some image.
func order(image string) azure.Order {
	from, _ := ref.Parse("docker.io/library/" + image + "@" + string(oci.Sum([]byte(image))))
	return azure.Order{From: from, To: []ref.Repo{{Host: "dst.azurecr.io", Path: image}}, Size: 1 << 20,
		Login: func(context.Context) (credential.Login, error) {
			return credential.Login{User: "ann", Password: credential.New(secret)}, nil
		}}
}

func TestAnImportSurvivesTheFaultsOfTheResourceManager(t *testing.T) {
	for name, tt := range map[string]struct {
		answers answers
		least   time.Duration // how long it takes
		most    time.Duration
		kind    fault.Kind
		posts   int
	}{
		"nothing is wrong":                {answers{accepted(), accepted(), done}, 2 * time.Second, 5 * time.Second, "", 1},
		"done at once":                    {answers{done}, 0, time.Second, "", 1},
		"Retry-After":                     {answers{accepted("Retry-After", "90"), done}, 90 * time.Second, 91 * time.Second, "", 1},
		"the state in the body":           {answers{accepted("Azure-AsyncOperation", manager+sub+"/state"), status(200, `{"status":"InProgress"}`), done}, time.Second, 5 * time.Second, "", 1},
		"throttled":                       {answers{status(429, "", "Retry-After", "120"), status(429, "", "Retry-After", "30"), accepted(), done}, 151 * time.Second, 155 * time.Second, "", 3},
		"throttled for longer":            {answers{status(429, "", "Retry-After", "3600")}, 0, time.Second, fault.Throttled, 1},
		"polls are throttled":             {answers{accepted(), status(429, "", "Retry-After", "60"), done}, 61 * time.Second, 63 * time.Second, "", 1},
		"trouble at the submission":       {answers{status(503, ""), cut, accepted(), done}, 3 * time.Second, 10 * time.Second, "", 3},
		"trouble without an end":          {answers{status(500, "")}, 20 * time.Second, 5 * time.Minute, fault.Unavailable, 6},
		"polls that are lost":             {append(append(answers{accepted()}, times(9, cut)...), done), time.Minute, 8 * time.Minute, "", 1},
		"polls that are lost for ever":    {answers{accepted(), status(502, "")}, 10 * time.Minute, 13 * time.Minute, fault.Unavailable, 1},
		"an operation that never ends":    {answers{accepted()}, 30 * time.Minute, 31 * time.Minute, fault.Unavailable, 1},
		"polls that ask for no pause":     {answers{accepted("Retry-After", "0"), accepted("Retry-After", "0")}, 30 * time.Minute, 31 * time.Minute, fault.Unavailable, 1},
		"polls throttled without a pause": {answers{accepted(), status(429, "", "Retry-After", "0")}, 10 * time.Minute, 11 * time.Minute, fault.Throttled, 1},
		"throttled for ever":              {answers{status(429, "", "Retry-After", "60")}, time.Hour, 62 * time.Minute, fault.Throttled, 62},
		"a pause beyond all measure":      {answers{status(429, "", "Retry-After", "9223372037")}, 0, time.Second, fault.Throttled, 1},
		"a token that has ended":          {answers{status(401, ""), accepted(), status(401, ""), done}, time.Second, 3 * time.Second, "", 2},
		"a token that does not count":     {answers{status(401, "")}, 0, time.Second, fault.Denied, 2},
		"no right to import":              {answers{failure(403, "AuthorizationFailed", "no")}, 0, time.Second, fault.Denied, 1},
		"no such registry":                {answers{failure(404, "ResourceNotFound", "no")}, 0, time.Second, fault.NotFound, 1},
		"202 without a place to ask":      {answers{status(202, "")}, 0, time.Second, fault.Refused, 1},
		"a place to ask elsewhere":        {answers{status(202, "", "Location", "https://elsewhere.example/op")}, time.Second, 2 * time.Second, fault.Refused, 1},
		"the source has no such image":    {answers{accepted(), failure(404, "ManifestUnknown", "manifest unknown")}, time.Second, 2 * time.Second, fault.NotFound, 1},
		"the source does not let it in":   {answers{accepted(), failure(400, "InvalidParameters", `{"errors":[{"code":"UNAUTHORIZED"}]}`)}, time.Second, 2 * time.Second, fault.Denied, 1},
		"it failed and answers 200":       {answers{accepted(), status(200, `{"status":"Failed","error":{"code":"InvalidParameters","message":"Error copying blobs"}}`)}, time.Second, 2 * time.Second, fault.Refused, 1},
		"it was canceled":                 {answers{accepted(), status(200, `{"status":"Canceled"}`)}, time.Second, 2 * time.Second, fault.Unavailable, 1},
		"the storage of Azure is full":    {answers{accepted(), failure(400, "QuotaExceeded", "Storage quota exceeded")}, time.Second, 2 * time.Second, fault.Full, 1},
		"an answer that does not end it":  {answers{accepted(), status(200, `{"properties":{"provisioningState":"Updating"}}`), done}, 2 * time.Second, 5 * time.Second, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scripted{}
				c, stop := client(s, "", tt.answers...)
				defer stop()
				began := time.Now()
				_, err := c.Import(t.Context(), order("app"), event.Watch{})
				took := time.Since(began)
				if fault.KindOf(err) != tt.kind || took < tt.least || took > tt.most || s.posts() != tt.posts || len(s.ids) != 1 {
					t.Errorf("%v after %s (%d requests, %d ids): %v", err, took, s.posts(), len(s.ids), s.log)
				}
				if err != nil && (!strings.Contains(err.Error(), "docker.io/library/app@sha256:") || !strings.Contains(err.Error(), "dst.azurecr.io") || fault.SideOf(err) == "") {
					t.Errorf("the error does not name what failed: %v", err)
				}
			})
		})
	}
}

// Azure writes the port of its resource manager into some addresses.
func TestAnAddressWithThePortOfTheSchemeIsThatOfTheResourceManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for at, kind := range map[string]fault.Kind{"http://LOCALHOST:80": "", "http://localhost:443": fault.Refused, "https://localhost": fault.Refused} {
			s := &scripted{ids: map[string]bool{}, answer: answers{status(202, "", "Location", at+sub+"/operationResults/op"), done}}
			dial, end := testbed.Pipe(s)
			c := azure.New(azure.Options{
				Settings: func(string) credential.Settings {
					return credential.Settings{ResourceID: group + "dst", ResourceManager: "http://localhost"}
				},
				Tokens: func(context.Context, string, string) (credential.Secret, error) {
					return credential.New("a-token"), nil
				},
				Dial: dial,
			})
			if _, err := c.Import(t.Context(), order("app"), event.Watch{}); fault.KindOf(err) != kind {
				t.Errorf("%s: %v", at, err)
			}
			c.Close()
			end()
			synctest.Wait()
		}
	})
}

func TestTheTextsOfTheResourceManagerAreOneLineWithoutSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{}
		long := strings.Repeat("x", 1<<16)
		c, stop := client(s, "", failure(400, "\x1b[2Jbad\n"+secret+long, "\x1b]0;title\a no\u202e"+secret+long))
		defer stop()
		_, err := c.Import(t.Context(), order("app"), event.Watch{})
		if err == nil || strings.Contains(err.Error(), secret) || strings.ContainsAny(err.Error(), "\x1b\a\n\u202e") || len(err.Error()) > 2000 {
			t.Errorf("%.3000q", err)
		}
	})
}

func TestWhatWasSentIsInNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{}
		c, stop := client(s, "", accepted(), failure(400, "InvalidParameters", "GET https://ann:"+secret+"@docker.io, Authorization: Bearer a-token"))
		defer stop()
		var seen []string
		_, err := c.Import(t.Context(), order("app"), event.Watch{
			Events:   func(e event.Event) { seen = append(seen, fmt.Sprintf("%+v", e)) },
			Requests: func(q event.Request) { seen = append(seen, fmt.Sprintf("%+v", q)) },
		})
		all := err.Error() + strings.Join(seen, "\n")
		for _, word := range []string{secret, "a-token", "signature"} {
			if strings.Contains(all, word) {
				t.Errorf("%s is in %s", word, all)
			}
		}
		if !strings.Contains(s.bodies[0], `"credentials":{"username":"ann","password":"`+secret) || !strings.Contains(s.bodies[0], `"mode":"NoForce"`) {
			t.Error(s.bodies)
		}
	})
}

func TestAnOperationIsFoundAgainByTheNextProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state, s := t.TempDir(), &scripted{}
		var told []event.Event
		import1 := func(ctx context.Context, answer ...func(http.ResponseWriter, *http.Request)) (earlier bool, err error) {
			c, stop := client(s, state, answer...)
			defer stop()
			return c.Import(ctx, order("app"), event.Watch{Events: func(e event.Event) { told = append(told, e) }})
		}
		killed, kill := context.WithCancel(t.Context())
		if _, err := import1(killed, accepted("Retry-After", "60"), func(w http.ResponseWriter, r *http.Request) { kill(); accepted()(w, r) }); !fault.Is(err, fault.Canceled) {
			t.Fatal(err)
		}
		if earlier, err := import1(t.Context(), accepted(), done); err != nil || !earlier || s.posts() != 0 {
			t.Errorf("%v %v %v", earlier, err, s.log)
		}
		if earlier, err := import1(t.Context(), accepted(), done); err != nil || earlier || s.posts() != 1 {
			t.Errorf("an operation that ended is not forgotten: %v %v %v", earlier, err, s.log)
		}

		// One that takes too long says so, and is awaited by the next run, one that Azure has forgotten is asked for again.
		if _, err := import1(t.Context(), accepted()); !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.HintOf(err), "again") {
			t.Error(err)
		}
		if len(told) != 6 || told[0].Kind != event.Waiting || !strings.Contains(told[0].Text, "dst.azurecr.io") { // after 1, 6, 11, … minutes
			t.Errorf("%+v", told)
		}
		if earlier, err := import1(t.Context(), failure(404, "OperationNotFound", "gone"), accepted(), done); err != nil || earlier || s.posts() != 1 {
			t.Errorf("%v %v %v", earlier, err, s.log)
		}

		// One of the day before yesterday is not believed.
		killed, kill = context.WithCancel(t.Context())
		_, _ = import1(killed, accepted(), func(w http.ResponseWriter, r *http.Request) { kill(); accepted()(w, r) })
		time.Sleep(25 * time.Hour)
		if earlier, err := import1(t.Context(), accepted(), done); err != nil || earlier || s.posts() != 1 {
			t.Errorf("%v %v %v", earlier, err, s.log)
		}
	})
}

func TestManyImportsStayWithinTheLimitForWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{}
		c, stop := client(s, "", done)
		defer stop()
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				if _, err := c.Import(t.Context(), order(fmt.Sprint("app", i)), event.Watch{}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(began); took < 30*time.Second || took > 32*time.Second { // 200 at once, then 10 a second
			t.Errorf("500 imports took %s", took)
		}
		s.mu.Lock()
		s.answer = answers{status(200, "", "X-Ms-Ratelimit-Remaining-Subscription-Writes", "0")}
		s.mu.Unlock()
		began = time.Now()
		for range 11 {
			if _, err := c.Import(t.Context(), order("app"), event.Watch{}); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took < time.Second || took > 3*time.Second {
			t.Errorf("others used up the limit, and 11 imports took %s", took)
		}
	})
}

func TestARegistryThatRefusesImportsIsNotAskedForEachImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{}
		c, stop := client(s, "", failure(403, "AuthorizationFailed", "no"))
		defer stop()
		for range 3 {
			if _, err := c.Import(t.Context(), order("app"), event.Watch{}); !fault.Is(err, fault.Denied) || !strings.Contains(fault.HintOf(err), "importImage/action") {
				t.Errorf("%v (%s)", err, fault.HintOf(err))
			}
		}
		if s.posts() != 1 {
			t.Error(s.log)
		}
		time.Sleep(6 * time.Minute)
		if _, err := c.Import(t.Context(), order("app"), event.Watch{}); err == nil || s.posts() != 2 {
			t.Errorf("%v %v", err, s.log)
		}
	})
}

func TestAzureReadsItsOwnRegistriesByIDAndOthersByALogin(t *testing.T) {
	registries := `{"value":[{"id":"` + group + `src","properties":{"loginServer":"Src.azurecr.io"}}]}`
	for name, tt := range map[string]struct {
		from    string
		login   credential.Login
		answers answers
		want    []string // what the bodies of the imports say about the source
	}{
		"docker hub": {"docker.io", credential.Login{}, answers{done}, []string{`{"registryUri":"docker.io","sourceImage":"library/app@sha256:`}},
		"azure": {"src.azurecr.io", credential.Login{Scheme: credential.Exchange, Password: credential.New("entra")},
			answers{status(200, `{"value":[{"subscriptionId":"one"}],"nextLink":"`+manager+`/subscriptions?page=2"}`), status(200, `{"value":[{"subscriptionId":"two"}]}`), status(200, `{"value":[]}`), status(200, registries), done},
			[]string{`{"resourceId":"` + group + `src","sourceImage":"library/app@sha256:`}},
		"azure, where the identity of the target may not read": {"src.azurecr.io", credential.Login{Scheme: credential.Exchange, Password: credential.New("entra")},
			answers{status(200, `{"value":[{"subscriptionId":"one"}]}`), status(200, registries), failure(400, "Unauthorized", "no"), accepted(), failure(400, "Unauthorized", "no"), done},
			[]string{`{"resourceId":"`, `{"registryUri":"src.azurecr.io","sourceImage":"library/app@sha256:`}},
		"azure in another tenant": {"src.azurecr.io", credential.Login{Scheme: credential.Exchange, Password: credential.New("entra")},
			answers{status(200, `{"value":[]}`), done}, []string{`"credentials":{"password":"entra"}`}},
		"a refresh token": {"src.azurecr.io", credential.Login{Scheme: credential.Refresh, Password: credential.New("refresh")}, answers{done},
			[]string{`"credentials":{"username":"00000000-0000-0000-0000-000000000000","password":"refresh"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scripted{}
				c, stop := client(s, "", tt.answers...)
				defer stop()
				o := order("app")
				o.From.Host = tt.from
				o.Login = func(context.Context) (credential.Login, error) { return tt.login, nil }
				_, err := c.Import(t.Context(), o, event.Watch{})
				for i, want := range tt.want {
					if i >= len(s.bodies) || !strings.Contains(s.bodies[i], want) {
						t.Errorf("%v: %v, want %s", err, s.bodies, want)
					}
				}
			})
		})
	}
}

func TestARegistryThatAzureDoesNotKnowIsRefusedWithoutARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{}
		c, stop := client(s, "", done)
		defer stop()
		o := order("app")
		o.To[0].Host = "registry.example"
		if _, err := c.Import(t.Context(), o, event.Watch{}); !fault.Is(err, fault.Refused) || len(s.log) != 0 || c.Imports("registry.example") {
			t.Errorf("%v %v", err, s.log)
		}
		for host, at := range map[string]string{"r.azurecr.io": "https://management.azure.com", "r.azurecr.cn": "https://management.chinacloudapi.cn", "r.azurecr.us": "https://management.usgovcloudapi.net"} {
			if got := credential.ResourceManager(host); got != at || !c.Imports(host) {
				t.Errorf("%s: %s", host, got)
			}
		}
		missing := errors.New("no identity")
		none := azure.New(azure.Options{Settings: func(string) credential.Settings { return credential.Settings{} },
			Tokens: func(context.Context, string, string) (credential.Secret, error) {
				return credential.Secret{}, &fault.Fault{Kind: fault.Denied, Err: missing}
			}})
		if _, err := none.Import(t.Context(), order("app"), event.Watch{}); !errors.Is(err, missing) {
			t.Error(err)
		}
	})
}

func TestACertificateThatIsNotTrustedEndsAnImportAtOnce(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	c := azure.New(azure.Options{
		Settings: func(string) credential.Settings {
			return credential.Settings{ResourceID: group + "dst", ResourceManager: s.URL}
		},
		Tokens: func(context.Context, string, string) (credential.Secret, error) {
			return credential.New("a-token"), nil
		},
	})
	defer c.Close()
	told := 0
	_, err := c.Import(t.Context(), order("app"), event.Watch{Events: func(event.Event) { told++ }})
	if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "unknown authority") || !strings.Contains(fault.HintOf(err), "set ca-file of the registry") {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
	if told != 0 {
		t.Errorf("tried again %d times", told)
	}
}
