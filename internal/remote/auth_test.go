package remote_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

func auth(a testbed.Auth) func(*testbed.Options, *remote.Options) {
	return func(s *testbed.Options, _ *remote.Options) { s.Auth = a }
}

func as(l credential.Login) func(*testbed.Options, *remote.Options) {
	return func(_ *testbed.Options, o *remote.Options) {
		o.Logins = credential.Chain{func(context.Context, ref.Repo) (credential.Login, bool, error) { return l, true, nil }}
	}
}

// refusals counts the answers with status 401.
func (b *bench) refusals() int {
	n := 0
	for _, q := range b.r.Log() {
		if q.Status == http.StatusUnauthorized {
			n++
		}
	}
	return n
}

// work uses a repository concurrently in many ways.
func (b *bench) work(r *remote.Repository, from ...ref.Repo) {
	b.Helper()
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			data, d := noise(b, uint64(i), 100)
			if _, err := r.Put(b.Context(), d, from, opener(data)); err != nil {
				b.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := r.Resolve(b.Context(), "v1"); err != nil && !fault.Is(err, fault.NotFound) {
				b.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestATokenIsFetchedOncePerRepositoryAndOneRequestIsRefusedPerHost(t *testing.T) {
	for name, a := range map[string]testbed.Auth{
		"plain":                    {Mode: testbed.Bearer},
		"two challenges, as Gitea": {Mode: testbed.Bearer, Challenge: testbed.TwoChallenges},
		"no challenge but on /v2/": {Mode: testbed.Bearer, Challenge: testbed.OnlyOnPing},
		"short-lived":              {Mode: testbed.Bearer, TTL: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(b *bench) {
				base := testbed.Random(b, b.r, "base", "v1", testbed.RandomOptions{})
				open := func(path string) *remote.Repository {
					return b.client.Open(repo(b.r, path), remote.Use{Actions: remote.Push, MountFrom: []string{"base"}})
				}
				b.work(open("app"))
				refused := 1
				if a.Challenge == testbed.OnlyOnPing {
					refused = 2 // the answer to the ping counts, too
				}
				if b.refusals() != refused || b.r.Issuer.Issued() != 1 {
					b.Errorf("%d refused, %d tokens", b.refusals(), b.r.Issuer.Issued())
				}
				b.work(open("app"))
				other := open("team/other")
				b.work(other)
				arrival, err := other.Put(b.Context(), base.Layers[0], []ref.Repo{repo(b.r, "base")}, opener(nil))
				must(b, err)
				if arrival.Way != oci.Mounted {
					b.Errorf("%+v", arrival)
				}
				if b.refusals() != refused || b.r.Issuer.Issued() != 2 {
					b.Errorf("with another repository: %d refused, %d tokens", b.refusals(), b.r.Issuer.Issued())
				}
			}, auth(a))
		})
	}
}

func TestAMountThatWasNotForeseenGetsItsScopeFirst(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		base := testbed.Random(b, b.r, "base", "v1", testbed.RandomOptions{})
		b.work(b.repo)
		arrival, err := b.repo.Put(b.Context(), base.Layers[0], []ref.Repo{repo(b.r, "base")}, opener(nil))
		must(b, err)
		if arrival.Way != oci.Mounted || b.refusals() != 1 || b.r.Issuer.Issued() != 2 {
			b.Errorf("%+v, %d refused, %d tokens", arrival, b.refusals(), b.r.Issuer.Issued())
		}
	}, auth(testbed.Auth{Mode: testbed.Bearer}))
}

func TestBasicIsSentAtOnceAfterTheFirstChallenge(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		b.work(b.repo)
		b.work(b.client.Open(repo(b.r, "other"), remote.Use{Actions: remote.Push}))
		if b.refusals() != 1 {
			b.Errorf("%d refused", b.refusals())
		}
	}, auth(testbed.Auth{Mode: testbed.Basic}))
}

func TestARegistryWithoutAuthenticationIsNeverAskedForIt(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		b.work(b.repo)
		for _, q := range b.r.Log() {
			if q.Kind == testbed.Ping || q.Header.Get("Authorization") != "" {
				b.Errorf("%s %s %v", q.Method, q.Path, q.Header)
			}
		}
	})
}

func TestAnonymousUsersReadWithAnonymousTokens(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		b.another("v1")
		r := b.client.Open(repo(b.r, "app"), remote.Use{})
		_, err := r.Resolve(b.Context(), "v1")
		must(b, err)
		data, d := noise(b, 1, 10)
		_, err = r.Put(b.Context(), d, nil, opener(data))
		wantKind(b, err, fault.Denied)
		if fault.HintOf(err) == "" {
			b.Error("the error has no hint")
		}
	}, auth(testbed.Auth{Mode: testbed.Bearer, Anonymous: testbed.Pull}), as(credential.Login{}))
}

func TestAWrongPasswordIsDenied(t *testing.T) {
	wrong := credential.Login{User: "user", Password: credential.New("wr0ng-canary-7f3a91")}
	for _, mode := range []testbed.Mode{testbed.Basic, testbed.Bearer} {
		bubble(t, nil, func(b *bench) {
			_, err := b.repo.Resolve(b.Context(), "v1")
			wantKind(b, err, fault.Denied)
			if b.r.Requests() > 3 {
				b.Errorf("%d requests", b.r.Requests())
			}
			if strings.Contains(fmt.Sprintf("%+v %#v %v", err, err, b.events.all), "wr0ng") {
				b.Error("the error contains the password")
			}
			_, err = b.client.Check(b.Context(), b.r.Host, wrong)
			wantKind(b, err, fault.Denied)
			if hint := fault.HintOf(err); hint != "check the user and the password" {
				b.Errorf("hint %q", hint)
			}
			kept, err := b.client.Check(b.Context(), b.r.Host, login)
			must(b, err)
			if kept != login {
				b.Error("another login was returned")
			}
		}, auth(testbed.Auth{Mode: mode}), as(wrong))
	}
}

func TestF30ATokenThatLacksAScopeIsDeniedByName(t *testing.T) {
	readOnly := testbed.Auth{Mode: testbed.Bearer, May: func(_, _, action string) bool { return action == "pull" }}
	bubble(t, nil, func(b *bench) {
		data, d := noise(b, 1, 10)
		_, err := b.repo.Put(b.Context(), d, nil, opener(data))
		wantKind(b, err, fault.Denied)
		if !strings.Contains(err.Error(), "lacks repository:app:pull,push") {
			b.Error(err)
		}
		if b.r.Requests() > 4 {
			b.Error(b.r.Story())
		}
	}, auth(readOnly))
}

func TestF28ARevokedTokenIsRenewedOnceAndThenDenied(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		b.work(b.repo)
		b.r.Issuer.Revoke()
		b.work(b.repo)
		if b.r.Issuer.Issued() != 2 {
			b.Errorf("%d tokens", b.r.Issuer.Issued())
		}
	}, auth(testbed.Auth{Mode: testbed.Bearer}))
	bubble(t, []*hostile.Fault{hostile.Early401()}, func(b *bench) {
		_, err := b.repo.Resolve(b.Context(), "v1")
		wantKind(b, err, fault.Denied)
		if n := b.r.Issuer.Issued(); n != 2 {
			b.Errorf("%d tokens", n)
		}
	}, auth(testbed.Auth{Mode: testbed.Bearer}))
}

func TestF29ATokenIsRenewedBeforeItEnds(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		for range 20 {
			_, err := b.repo.Resolve(b.Context(), "v1")
			wantKind(b, err, fault.NotFound)
			time.Sleep(30 * time.Second)
		}
		if b.refusals() != 1 || b.r.Issuer.Issued() > 4 || b.r.Issuer.Issued() < 3 {
			b.Errorf("%d refused, %d tokens", b.refusals(), b.r.Issuer.Issued())
		}
	}, auth(testbed.Auth{Mode: testbed.Bearer}))
}

func TestRefreshTokensAndEntraTokensAreTraded(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		r := b.client.Open(repo(b.r, "app"), remote.Use{Actions: remote.Push, Login: &credential.Login{
			Scheme: credential.Refresh, Password: credential.New(b.r.Issuer.RefreshToken("user"))}})
		b.work(r)
	}, auth(testbed.Auth{Mode: testbed.Bearer}))

	acr := testbed.Auth{Mode: testbed.Bearer, Dialect: testbed.ACR, Entra: map[string]string{"entra": "user"}}
	bubble(t, nil, func(b *bench) {
		b.work(b.repo)
		b.work(b.client.Open(repo(b.r, "other"), remote.Use{Actions: remote.Push}))
		exchanges := 0
		for _, q := range b.r.Log() {
			if q.Path == "/oauth2/exchange" {
				exchanges++
			}
		}
		if exchanges != 1 || b.r.Issuer.Issued() != 2 {
			b.Errorf("%d exchanges, %d tokens", exchanges, b.r.Issuer.Issued())
		}
	}, auth(acr), as(credential.Login{Scheme: credential.Exchange, Password: credential.New("entra")}))

	bubble(t, nil, func(b *bench) {
		_, err := b.client.Check(b.Context(), b.r.Host, credential.Login{Scheme: credential.Exchange, Password: credential.New("other")})
		wantKind(b, err, fault.Denied)
		kept, err := b.client.Check(b.Context(), b.r.Host, credential.Login{Scheme: credential.Exchange, Password: credential.New("entra")})
		must(b, err)
		if kept.Scheme != credential.Refresh {
			b.Errorf("the login to keep for an Entra token has the scheme %q", kept.Scheme)
		}
		_, err = b.client.Check(b.Context(), b.r.Host, kept)
		must(b, err)
	}, auth(acr))
}

func TestAnAccessTokenIsSentAsItIs(t *testing.T) {
	var heard []string
	wants := func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			heard = append(heard, r.Header.Get("Authorization"))
			if r.Header.Get("Authorization") != "Bearer access" {
				w.Header().Set("WWW-Authenticate", `Bearer realm="https://127.0.0.1:5000/token",service="x"`)
				w.WriteHeader(401)
			}
		})
	}
	bubble(t, nil, func(b *bench) {
		_, err := b.client.Check(b.Context(), b.r.Host, credential.Login{Scheme: credential.Bearer, Password: credential.New("access")})
		must(b, err)
		if len(heard) != 2 {
			b.Errorf("%q", heard)
		}
	}, func(s *testbed.Options, _ *remote.Options) { s.Front = wants })
}

func TestF25OddChallengesAreRefusedClearly(t *testing.T) {
	for value, text := range map[string]string{
		`Negotiate abc`:                                  "no supported way to log in",
		`Bearer service="x"`:                             "token service",
		`Bearer realm="ftp://127.0.0.1:5000/t"`:          "token service",
		`Bearer realm="http://a:b@127.0.0.1:5000/token"`: "token service",
		``: "401",
	} {
		t.Run(value, func(t *testing.T) {
			h := http.Header{}
			if value != "" {
				h.Set("WWW-Authenticate", value)
			}
			bubble(t, []*hostile.Fault{hostile.Status(401, h, "")}, func(b *bench) {
				_, err := b.repo.Resolve(b.Context(), "v1")
				if err == nil || !strings.Contains(err.Error(), text) || strings.Count(err.Error(), b.r.Host) != 1 {
					b.Error(err)
				}
			})
		})
	}
}

// No other name helps against a login that is missing or not possible, so its own hint stays.
func TestAListKeepsTheHintOfALoginThatCanNotBeMade(t *testing.T) {
	h := http.Header{}
	h.Set("WWW-Authenticate", "Negotiate")
	bubble(t, []*hostile.Fault{hostile.Status(401, h, "")}, func(b *bench) {
		err := b.client.Repositories(b.Context(), b.r.Host, remote.Use{}, func(string) error { return nil })
		if !fault.Is(err, fault.Denied) || !strings.HasPrefix(fault.HintOf(err), "ask the operator of the registry for a login") {
			b.Errorf("%v (hint: %s)", err, fault.HintOf(err))
		}
	})
	unset := func(context.Context, ref.Repo) (credential.Login, bool, error) {
		return credential.Login{}, false, fault.Misuse("read the password of", "sec", "NOPE_PW is not set", "set NOPE_PW")
	}
	bubble(t, nil, func(b *bench) {
		err := b.client.Repositories(b.Context(), b.r.Host, remote.Use{}, func(string) error { return nil })
		if !fault.Is(err, fault.Invalid) || fault.HintOf(err) != "set NOPE_PW" {
			b.Errorf("%v (hint: %s)", err, fault.HintOf(err))
		}
	}, auth(testbed.Auth{Mode: testbed.Basic}), func(_ *testbed.Options, o *remote.Options) { o.Logins = credential.Chain{unset} })
}

func TestF27RepliesOfATokenServiceAreReadWithCare(t *testing.T) {
	for body, kind := range map[string]fault.Kind{
		`{"token":""}`:            fault.Denied,
		`{}`:                      fault.Denied,
		`{"access_token":"a\nb"}`: fault.Denied,
		`no`:                      fault.Refused,
		`{"token":"` + strings.Repeat("x", 2*mib) + `"}`: fault.Refused,
	} {
		bubble(t, []*hostile.Fault{hostile.Status(200, nil, body).On("GET", testbed.Token)}, func(b *bench) {
			_, err := b.repo.Resolve(b.Context(), "v1")
			wantKind(b, err, kind)
			if !strings.Contains(err.Error(), "the token service 127.0.0.1:5000/token") {
				b.Error(err)
			}
		}, auth(testbed.Auth{Mode: testbed.Bearer}))
	}
	bubble(t, []*hostile.Fault{hostile.Status(503, nil, "").On("GET", testbed.Token).Times(3)}, func(b *bench) {
		_, err := b.repo.Resolve(b.Context(), "v1")
		wantKind(b, err, fault.NotFound)
	}, auth(testbed.Auth{Mode: testbed.Bearer}))
}

// A wrong address of the token service says nothing about the image and nothing about the login.
func TestF27AnAddressThatIsNoTokenServiceIsNeitherNotFoundNorDenied(t *testing.T) {
	page, plain := http.Header{"Content-Type": {"text/html; charset=utf-8"}}, http.Header(nil)
	for name, one := range map[string]struct {
		fault *hostile.Fault
		says  string
	}{
		"404 page":      {hostile.Status(404, page, "<html>"), "answers 404 Not Found, with a web page"},
		"404 of an API": {hostile.Status(404, plain, `{"detail":"Not Found"}`), "answers 404 Not Found"},
		"404 with code": {hostile.Error(404, "NAME_UNKNOWN", "no such path"), "answers 404 NAME_UNKNOWN: no such path"},
		"400 page":      {hostile.Status(400, page, "<html>"), "answers 400 Bad Request, with a web page"},
		"405":           {hostile.Status(405, plain, ""), "answers 405 Method Not Allowed"},
		"409":           {hostile.Status(409, plain, ""), "answers 409 Conflict"},
		"410":           {hostile.Status(410, plain, ""), "answers 410 Gone"},
		"501":           {hostile.Status(501, plain, ""), "answers 501 Not Implemented"},
		"a page":        {hostile.Status(200, page, "<html>sign in</html>"), "a web page answers at"},
		"a bare page":   {hostile.Status(200, plain, "\n<!doctype html>"), "a web page answers at"},
		"a redirect":    {hostile.RedirectTo("http://127.0.0.1:5000/v2/", 302), "redirect"},
		"302 to none":   {hostile.Status(302, plain, ""), "answers 302 Found"},
	} {
		for _, who := range []credential.Login{login, {}} {
			bubble(t, []*hostile.Fault{one.fault.On("GET", testbed.Token)}, func(b *bench) {
				b.another("v1")
				_, err := b.repo.Resolve(b.Context(), "v1")
				wantKind(b, err, fault.Refused)
				if text := err.Error(); !strings.Contains(text, one.says) || !strings.Contains(text, "token") {
					b.Errorf("%s: %v", name, err)
				}
				if !strings.Contains(fault.HintOf(err), "token service in the registry's settings") {
					b.Errorf("%s: hint %q", name, fault.HintOf(err))
				}
				if n := b.r.Requests(); n != 2 {
					b.Errorf("%s: %d requests", name, n)
				}
			}, auth(testbed.Auth{Mode: testbed.Bearer}), as(who))
		}
	}
}

// F-27: a token service that refuses what is asked for says nothing about the login.
func TestF27ATokenServiceThatRefusesTheRequestDoesNotBlameTheLogin(t *testing.T) {
	for body, kinds := range map[string][2]fault.Kind{ // with a login, and without one
		`{"details":"invalid scope"}`:                                     {fault.Denied, fault.Invalid},
		`{"error":"invalid_scope","error_description":"no such project"}`: {fault.Invalid, fault.Invalid},
		`{"error":"invalid_grant","error_description":"wrong password"}`:  {fault.Denied, fault.Invalid},
	} {
		for i, who := range []credential.Login{login, {}} {
			bubble(t, []*hostile.Fault{hostile.Status(400, nil, body).On("GET", testbed.Token)}, func(b *bench) {
				_, err := b.repo.Resolve(b.Context(), "v1")
				wantKind(b, err, kinds[i])
				if hint := fault.HintOf(err); kinds[i] == fault.Invalid && !strings.Contains(hint, "check the name of the repository") {
					b.Errorf("%s: hint %q", body, hint)
				}
			}, auth(testbed.Auth{Mode: testbed.Bearer}), as(who))
		}
	}
}

// A registry, or a proxy in front of it, may ask for a login at the root of its API only.
func TestF86A403WithoutALoginIsAskedAgainWithOneIfTheRootAsksForIt(t *testing.T) {
	forbids := func(body string) func(*testbed.Options, *remote.Options) {
		return func(s *testbed.Options, _ *remote.Options) {
			s.Front = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Authorization") == "" && r.URL.Path != "/v2/" && !strings.Contains(r.URL.Path, "token") {
						w.Header().Set("Content-Type", "application/json")
						w.WriteHeader(http.StatusForbidden)
						_, _ = w.Write([]byte(body))
						return
					}
					next.ServeHTTP(w, r)
				})
			}
		}
	}
	denied := `{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`
	pings := func(b *bench) (n int) {
		for _, q := range b.r.Log() {
			if q.Path == "/v2/" {
				n++
			}
		}
		return n
	}
	for _, mode := range []testbed.Mode{testbed.Basic, testbed.Bearer} {
		t.Run(string(mode), func(t *testing.T) {
			bubble(t, nil, func(b *bench) {
				testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
				b.r.Reset()
				b.work(b.repo)
				_, err := b.client.Open(repo(b.r, "app"), remote.Use{}).Resolve(b.Context(), "v1")
				must(b, err)
				if n := pings(b); n != 1 {
					b.Errorf("%d requests to the root", n)
				}
			}, auth(testbed.Auth{Mode: mode}), forbids(denied))
		})
	}
	for name, tt := range map[string]struct {
		mode  testbed.Mode
		login credential.Login
		says  string
	}{
		"no login":                   {testbed.Basic, credential.Login{}, "no login for 127.0.0.1:5000 was found"},
		"a login that is not wanted": {testbed.None, login, "no login was sent, because the registry asked for none"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(b *bench) {
				for range 3 {
					_, err := b.repo.Document(b.Context(), "v1")
					wantKind(b, err, fault.Denied)
					if !strings.Contains(err.Error(), tt.says) {
						b.Error(err)
					}
				}
				if n := pings(b); n != 1 {
					b.Errorf("%d requests to the root", n)
				}
			}, auth(testbed.Auth{Mode: tt.mode}), forbids(denied), as(tt.login))
		})
	}
	bubble(t, nil, func(b *bench) {
		_, err := b.repo.Document(b.Context(), "v1")
		wantKind(b, err, fault.Denied)
		if n := pings(b); n != 0 {
			b.Errorf("%d requests to the root, although no login helps", n)
		}
	}, auth(testbed.Auth{Mode: testbed.Basic}), forbids(`{"errors":[{"code":"DENIED","message":"client with IP '192.0.2.1' is not allowed access"}]}`))
}
