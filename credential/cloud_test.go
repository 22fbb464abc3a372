package credential

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// sky is the network of a machine in a cloud. It has handlers by scheme and host. A request to any other host
// fails the test.
type sky struct {
	t    *testing.T
	vars map[string]string
	home string
	at   map[string]http.HandlerFunc // "https://login.example", "http://169.254.169.254"
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
	own  *http.Transport // connects to a loopback server for every https host; nil calls the handlers in memory

	mu    sync.Mutex
	asked []string
}

func newSky(t *testing.T) *sky {
	t.Helper()
	t.Setenv("PATH", t.TempDir()) // so that the az of this machine is not found
	s := &sky{t: t, vars: map[string]string{}, home: t.TempDir(), at: map[string]http.HandlerFunc{}}
	s.dial = func(_ context.Context, _, addr string) (net.Conn, error) {
		return nil, fmt.Errorf("nobody at %s", addr)
	}
	return s
}

// up serves the sky over loopback. Without it, requests call the handlers in memory, which works with virtual
// time.
func (s *sky) up() *sky {
	serve := func(scheme string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, scheme) }))
		s.t.Cleanup(server.Close)
		return server.Listener.Addr().String()
	}
	secure, plain := serve("https"), serve("http")
	s.own = &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, secure)
	}}
	s.t.Cleanup(s.own.CloseIdleConnections)
	s.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if s.at["http://"+strings.TrimSuffix(addr, ":80")] == nil {
			return nil, fmt.Errorf("nobody at %s", addr)
		}
		return (&net.Dialer{}).DialContext(ctx, network, plain)
	}
	return s
}

// RoundTrip sends https requests.
func (s *sky) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		s.t.Errorf("%s was sent with the transport for https", r.URL)
	}
	r = r.Clone(r.Context())
	if s.own != nil {
		r.URL.Scheme = "http"
		return s.own.RoundTrip(r)
	}
	w := httptest.NewRecorder()
	r.Host = r.URL.Host
	s.serve(w, r, "https")
	return w.Result(), nil
}

func (s *sky) serve(w http.ResponseWriter, r *http.Request, scheme string) {
	where := scheme + "://" + r.Host
	s.mu.Lock()
	s.asked = append(s.asked, r.Method+" "+where+r.URL.Path)
	answer := s.at[where]
	s.mu.Unlock()
	if answer == nil {
		s.t.Errorf("unexpected request %s %s%s", r.Method, where, r.URL)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	answer(w, r)
}

func (s *sky) cloud() Cloud {
	return Cloud{Env: func(k string) string { return s.vars[k] }, Home: s.home, HTTP: s,
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) { return s.dial(ctx, network, addr) }}
}

func (s *sky) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

func (s *sky) write(name, content string) string {
	s.t.Helper()
	b := &box{t: s.t, files: Files{Home: s.home}}
	return b.write(content, strings.Split(name, "/")...)
}

// finds looks up host, which must have a login.
func (s *sky) finds(look Lookup, host string) Login {
	s.t.Helper()
	l, ok, err := look(s.t.Context(), ref.Repo{Host: host, Path: "team/app"})
	if err != nil || !ok {
		s.t.Fatalf("%s: found %v: %v", host, ok, err)
	}
	return l
}

// refuses looks up host, which must fail with kind k. The error must not show the canary.
func (s *sky) refuses(look Lookup, host string, k fault.Kind) string {
	s.t.Helper()
	l, ok, err := look(s.t.Context(), ref.Repo{Host: host, Path: "team/app"})
	if ok || l != (Login{}) || !fault.Is(err, k) {
		s.t.Fatalf("%s: %v %v, kind %s: %v", host, l, ok, fault.KindOf(err), err)
	}
	if k == fault.Denied && fault.HintOf(err) == "" {
		s.t.Errorf("the error has no hint: %v", err)
	}
	text := fmt.Sprintf("%v %+v %#v %s", err, err, err, fault.HintOf(err))
	for _, form := range []string{canary, url.QueryEscape(canary + "+/="), b64(canary)} {
		if strings.Contains(text, form) {
			s.t.Errorf("the error shows the secret: %s", text)
		}
	}
	return err.Error()
}

// demand answers a request that has exactly the fields of want with reply. It also checks the method and the
// content type.
func (s *sky) demand(want url.Values, reply string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.URL.RawQuery != "" ||
			r.PostForm.Encode() != want.Encode() {
			s.t.Errorf("%s %s\n got %s\nwant %s", r.Method, r.URL, r.PostForm.Encode(), want.Encode())
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		io.WriteString(w, reply)
	}
}

// parrot refuses each request and repeats its secrets in all fields in which services give reasons.
func parrot(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		var said strings.Builder
		for _, h := range []string{"Authorization", "X-IDENTITY-HEADER", "Secret", "X-Amz-Security-Token"} {
			said.WriteString(r.Header.Get(h) + " ")
		}
		for k, v := range r.PostForm {
			if k != "scope" && k != "grant_type" && k != "client_assertion_type" {
				said.WriteString(v[0] + " " + url.QueryEscape(v[0]) + " ")
			}
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error": "refused", "error_description": %q, "message": %q}`, "no: "+said.String(), said.String())
	}
}

func unixIn(d time.Duration) int64 { return time.Now().Add(d).Unix() }

func TestCloudsAreAskedForTheirOwnHostsOnly(t *testing.T) {
	s := newSky(t)
	s.vars = map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": canary, "AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t",
		"AZURE_CLIENT_SECRET": canary, "GITHUB_TOKEN": canary, "GCE_METADATA_HOST": "127.0.0.1"}
	s.dial = func(_ context.Context, _, addr string) (net.Conn, error) {
		t.Error("dialed", addr)
		return nil, io.EOF
	}
	chain := Clouds{Cloud: s.cloud()}.Lookups()
	for _, host := range []string{"docker.io", "quay.io", "reg.example:5000", "azurecr.io", "x.azurecr.io.evil.example", "x.azurecr.io:5000", "evil-azurecr.io",
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example", "x.dkr.ecr.eu-west-1.amazonaws.com", "123456789012.dkr.ecr.eu-west-1.on.aws",
		"123456789012.dkr-ecr.eu-west-1.amazonaws.com", "evilgcr.io", "docker.pkg.dev", "eu-docker.pkg.dev.evil.example", "x.ghcr.io", "amazonaws.com"} {
		if l, err := chain.For(t.Context(), ref.Repo{Host: host, Path: "a"}); l != (Login{}) || err != nil {
			t.Errorf("%s: %v %v", host, l, err)
		}
	}
	if n := s.count(); n != 0 {
		t.Error(n, "requests")
	}
}

func TestGitHubsTokenIsForGitHubsRegistry(t *testing.T) {
	s := newSky(t)
	chain := Clouds{Cloud: s.cloud()}.Lookups()
	hub := ref.Repo{Host: "ghcr.io", Path: "o/a"}
	if l, err := chain.For(t.Context(), hub); l != (Login{}) || err != nil {
		t.Error(l, err)
	}
	s.vars["GITHUB_TOKEN"] = canary
	want := Login{User: "dray", Password: New(canary), From: "env GITHUB_TOKEN"}
	if l, err := chain.For(t.Context(), hub); l != want || err != nil {
		t.Error(l, err)
	}
	s.vars["GITHUB_ACTOR"] = "octo"
	if l, err := chain.For(t.Context(), hub); l.User != "octo" || err != nil {
		t.Error(l, err)
	}
	if _, ok, _ := (GHCR{}).Lookup()(t.Context(), hub); ok {
		t.Error("the zero GHCR has a token")
	}
}

func TestWithoutACloudTheMetadataAddressCostsOneSecondOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSky(t)
		dials := 0
		s.dial = func(ctx context.Context, _, addr string) (net.Conn, error) {
			if dials++; addr != "169.254.169.254:80" {
				t.Error("dialed", addr)
			}
			<-ctx.Done() // like a network that drops the packets
			return nil, ctx.Err()
		}
		chain := Clouds{Cloud: s.cloud()}.Lookups()
		begin := time.Now()
		for range 3 {
			for _, host := range []string{"x.azurecr.io", "y.azurecr.cn", "public.ecr.aws", "123456789012.dkr.ecr.eu-west-1.amazonaws.com", "gcr.io", "eu-docker.pkg.dev"} {
				if l, err := chain.For(t.Context(), ref.Repo{Host: host, Path: "a"}); l != (Login{}) || err != nil {
					t.Errorf("%s: %v %v", host, l, err)
				}
			}
		}
		if took := time.Since(begin); took != time.Second || dials != 1 {
			t.Errorf("%d dials took %s", dials, took)
		}
	})
}

func TestManyWhoWantOneLoginAskForItOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSky(t)
		s.vars = map[string]string{"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t", "AZURE_CLIENT_SECRET": canary}
		s.at["https://login.microsoftonline.com"] = func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(2 * time.Second)
			fmt.Fprint(w, `{"token_type": "Bearer", "expires_in": 4000, "access_token": "t`, s.count(), `"}`)
		}
		look := Azure{Cloud: s.cloud()}.Lookup()
		var got [16]Login
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() { got[i] = s.finds(look, fmt.Sprintf("r%d.azurecr.io", i)) })
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := look(impatient, ref.Repo{Host: "r.azurecr.io"}); !fault.Is(err, fault.Canceled) && !fault.Is(err, fault.Unavailable) {
			t.Error(err)
		}
		wg.Wait()
		for _, l := range got {
			if l != got[0] || l.Password.Reveal() == "" {
				t.Error("not all callers have the same login:", l.Password.Reveal(), got[0].Password.Reveal())
			}
		}
		if n := s.count(); n > 2 { // the caller that gave up may have been the first
			t.Error(n, "requests")
		}
		begun := s.count()
		for _, step := range []struct {
			wait time.Duration
			more int
		}{{2990 * time.Second, 0}, {20 * time.Second, 1}, {2990 * time.Second, 1}, {20 * time.Second, 2}} {
			time.Sleep(step.wait)
			s.finds(look, "r.azurecr.io")
			if n := s.count() - begun; n != step.more {
				t.Errorf("after %s more: %d requests", step.wait, n)
			}
		}
	})
}

func TestTroubleIsTriedAgainWithinARequestAndRememberedForTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSky(t)
		s.vars = map[string]string{"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t", "AZURE_CLIENT_SECRET": canary}
		sick := true
		s.at["https://login.microsoftonline.com"] = func(w http.ResponseWriter, _ *http.Request) {
			if sick {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			io.WriteString(w, `{"expires_in": 3600, "access_token": "t"}`)
		}
		look := Azure{Cloud: s.cloud()}.Lookup()
		begin := time.Now()
		for range 5 {
			if text := s.refuses(look, "r.azurecr.io", fault.Unavailable); text != "ask azure service principal c: unavailable: HTTP 503" {
				t.Error(text)
			}
		}
		if took := time.Since(begin); took != 3*time.Second || s.count() != 3 {
			t.Error(took, s.count())
		}
		sick = false
		time.Sleep(9 * time.Second)
		s.refuses(look, "r.azurecr.io", fault.Unavailable)
		time.Sleep(2 * time.Second)
		s.finds(look, "r.azurecr.io")
	})
}

func TestACanceledRequestToACloudIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSky(t)
		s.vars = map[string]string{"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t", "AZURE_CLIENT_SECRET": canary}
		status := http.StatusServiceUnavailable
		s.at["https://login.microsoftonline.com"] = func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, `{"expires_in": 3600, "access_token": "t"}`)
		}
		look := Azure{Cloud: s.cloud()}.Lookup()
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(500*time.Millisecond, func() { cancel(errors.New("the user left")) })
		if _, ok, err := look(ctx, ref.Repo{Host: "r.azurecr.io"}); ok || !fault.Is(err, fault.Canceled) || !strings.HasSuffix(err.Error(), "the user left") {
			t.Error(ok, err)
		}
		status = http.StatusOK
		s.finds(look, "r.azurecr.io")
	})
}

func TestASecretWithALineBreakIsNotSent(t *testing.T) {
	s := newSky(t)
	s.vars = map[string]string{"IDENTITY_ENDPOINT": "https://identity.example/", "IDENTITY_HEADER": canary + "\r\nX: y"}
	if text := s.refuses(Azure{Cloud: s.cloud()}.Lookup(), "r.azurecr.io", fault.Invalid); !strings.Contains(text, "line break") || s.count() != 0 {
		t.Error(text)
	}
}

func TestNoRedirectIsFollowedAndNoLongAnswerRead(t *testing.T) {
	s := newSky(t).up()
	s.vars = map[string]string{"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t", "AZURE_CLIENT_SECRET": canary}
	for answer, want := range map[string]http.HandlerFunc{
		"denied: HTTP 307": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://evil.example/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"unavailable: its answer is longer than 1 MiB": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"access_token": "`+strings.Repeat("a", 1<<20)+`"}`)
		},
		"denied: its answer is not the documented JSON": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>"+canary) },
		"denied: its answer contains no token":          func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") },
		"denied: HTTP 403":                              func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403); io.WriteString(w, "<html>"+canary) },
	} {
		s.at["https://login.microsoftonline.com"] = want
		kind := fault.Kind(strings.Split(answer, ":")[0])
		if text := s.refuses(Azure{Cloud: s.cloud()}.Lookup(), "r.azurecr.io", kind); text != "ask azure service principal c: "+answer {
			t.Error(text)
		}
	}
}

func TestPlainHTTPReachesNothingBeyondTheLink(t *testing.T) {
	s := newSky(t)
	s.dial = func(_ context.Context, _, addr string) (net.Conn, error) {
		t.Error("dialed", addr)
		return nil, io.EOF
	}
	keys := map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": canary}
	principal := map[string]string{"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t", "AZURE_CLIENT_SECRET": canary}
	const acr, ecr, gcr = "r.azurecr.io", "123456789012.dkr.ecr.eu-west-1.amazonaws.com", "gcr.io"
	for _, tt := range []struct {
		host, name, value string
		with              map[string]string
	}{
		{acr, "AZURE_AUTHORITY_HOST", "http://login.example", principal},
		{acr, "AZURE_AUTHORITY_HOST", "login.microsoftonline.com", principal},
		{acr, "AZURE_AUTHORITY_HOST", "https://u:p@login.example", principal},
		{acr, "IDENTITY_ENDPOINT", "http://10.0.0.1/msi", map[string]string{"IDENTITY_HEADER": canary}},
		{acr, "IDENTITY_ENDPOINT", "ftp://127.0.0.1/", map[string]string{"IDENTITY_HEADER": canary}},
		{acr, "MSI_ENDPOINT", "http://msi.example/", map[string]string{"MSI_SECRET": canary}},
		{acr, "MSI_ENDPOINT", "http://msi.example/", nil},
		{ecr, "AWS_ENDPOINT_URL_ECR", "http://ecr.example", keys},
		{ecr, "AWS_ENDPOINT_URL", "http://192.168.0.1", keys},
		{ecr, "AWS_ENDPOINT_URL_ECR", "https://ecr.example/path", keys},
		{ecr, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.169.254/x", map[string]string{"AWS_CONTAINER_AUTHORIZATION_TOKEN": canary}},
		{ecr, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://creds.example/", map[string]string{"AWS_CONTAINER_AUTHORIZATION_TOKEN": canary}},
		{ecr, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost.example/", nil},
		{gcr, "GCE_METADATA_HOST", "metadata.example", nil},
		{gcr, "GCE_METADATA_HOST", "127.0.0.1@metadata.example", nil},
	} {
		s.vars = map[string]string{tt.name: tt.value}
		maps.Copy(s.vars, tt.with)
		_, err := Clouds{Cloud: s.cloud()}.Lookups().For(t.Context(), ref.Repo{Host: tt.host})
		if !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s=%s: %v", tt.name, tt.value, err)
		}
	}
	if n := s.count(); n != 0 {
		t.Error(n, "requests")
	}
}

func TestAConfiguredFileThatCannotBeReadIsNamed(t *testing.T) {
	s := newSky(t)
	gone := filepath.Join(s.home, "gone")
	empty := s.write("empty", "\n")
	const acr, ecr, gcr = "r.azurecr.io", "public.ecr.aws", "gcr.io"
	for _, tt := range []struct {
		host string
		kind fault.Kind
		vars string
	}{
		{acr, fault.Denied, "AZURE_CLIENT_ID=c AZURE_TENANT_ID=t AZURE_FEDERATED_TOKEN_FILE=" + gone},
		{acr, fault.Denied, "AZURE_CLIENT_ID=c AZURE_TENANT_ID=t AZURE_FEDERATED_TOKEN_FILE=" + empty},
		{acr, fault.Invalid, "AZURE_FEDERATED_TOKEN_FILE=" + gone},
		{acr, fault.Denied, "AZURE_CLIENT_ID=c AZURE_TENANT_ID=t AZURE_CLIENT_CERTIFICATE_PATH=" + gone},
		{acr, fault.Invalid, "AZURE_CLIENT_ID=c AZURE_TENANT_ID=t AZURE_CLIENT_CERTIFICATE_PATH=" + empty},
		{ecr, fault.Denied, "AWS_ROLE_ARN=r AWS_WEB_IDENTITY_TOKEN_FILE=" + gone},
		{ecr, fault.Denied, "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1/ AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=" + gone},
		{ecr, fault.Denied, "AWS_CONFIG_FILE=" + s.home},
		{ecr, fault.Invalid, "AWS_PROFILE=none"},
		{gcr, fault.Denied, "GOOGLE_APPLICATION_CREDENTIALS=" + gone},
		{gcr, fault.Invalid, "GOOGLE_APPLICATION_CREDENTIALS=" + empty},
	} {
		s.vars = map[string]string{}
		for kv := range strings.FieldsSeq(tt.vars) {
			k, v, _ := strings.Cut(kv, "=")
			s.vars[k] = v
		}
		_, err := Clouds{Cloud: s.cloud()}.Lookups().For(t.Context(), ref.Repo{Host: tt.host})
		if named := tt.vars[strings.LastIndex(tt.vars, "=")+1:]; !fault.Is(err, tt.kind) ||
			!strings.Contains(err.Error(), named) && !strings.Contains(err.Error(), "AZURE_FEDERATED_TOKEN_FILE") {
			t.Errorf("%s: %s %v", tt.vars, fault.KindOf(err), err)
		}
	}
}

func TestPlainHTTPKnowsNoProxy(t *testing.T) {
	// The standard library reads the variables of the proxy once in a process, so setting them here would have no
	// effect.
	if local, ok := (Cloud{}).machine().local.(*http.Transport); !ok || local.Proxy != nil {
		t.Error("metadata services would be asked through a proxy")
	}
}

func FuzzWhatAnswersSay(f *testing.F) {
	f.Add(`{"error": "invalid_client", "error_description": "no `+canary+`"}`, canary)
	f.Add(`{"error": {"code": 403, "message": "m", "status": "PERMISSION_DENIED"}}`, "m")
	f.Add(`<ErrorResponse><Error><Code>AccessDenied</Code><Message>x y</Message></Error></ErrorResponse>`, "x y")
	f.Add(`{"__type": "T", "message": "a\u0000b"}`, "ab")
	f.Fuzz(func(t *testing.T, body, secret string) {
		said := clean(reason([]byte(body)), []string{secret})
		if len([]rune(said)) > maxReason+1 || strings.ContainsAny(said, "\r\n\x00\x1b") {
			t.Errorf("%q", said)
		}
		if len(secret) > 3 && !strings.Contains(redacted, secret) && strings.Contains(said, secret) {
			t.Errorf("%q shows %q", said, secret)
		}
		number([]byte(body))
		expClaim(body)
		words(body)
		profiles{}.read(body, "profile ")
	})
}
