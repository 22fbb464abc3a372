package remote_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
)

// redirecting puts a redirect to what to returns in front of a registry. It applies to
// requests that fit, unless they come from hop.
func redirecting(code int, fits func(*http.Request) bool, to func(*http.Request) string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !fits(r) || r.URL.Query().Has("hop") {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Location", to(r))
			w.WriteHeader(code)
		})
	}
}

func writes(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// hop returns the same address with one more parameter.
func hop(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return r.URL.Path + "?hop=1"
	}
	return r.URL.RequestURI() + "&hop=1"
}

func TestF20AWriteFollowsARedirectOnItsOwnOriginWithTheLoginAndTheWholeBody(t *testing.T) {
	for _, code := range []int{307, 308} {
		for _, chunk := range []int64{0, mib} {
			t.Run(fmt.Sprintf("%d in chunks of %d", code, chunk), func(t *testing.T) {
				bubble(t, nil, func(b *bench) {
					data, d := noise(b, 1, 3*mib-7)
					_, err := b.send(data, d)
					must(b, err)
					put(b, b.repo, "v1")
					must(b, b.repo.Delete(b.Context(), b.deleted("v1")))
					for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
						followed, granted := 0, 0
						for _, q := range b.r.Log() {
							if q.Method == method && strings.Contains(q.RawQuery, "hop=1") {
								followed++
								if q.Header.Get("Authorization") != "" {
									granted++
								}
							}
						}
						if want := method != "PATCH" || chunk > 0; followed > 0 != want || granted < followed-1 {
							b.Errorf("%d %s came by a redirect, %d of them with the login", followed, method, granted)
						}
					}
				}, func(s *testbed.Options, o *remote.Options) {
					s.Auth = testbed.Auth{Mode: testbed.Basic}
					s.Front = redirecting(code, writes, hop)
					o.Default.ChunkSize = chunk
				})
			})
		}
	}
}

// deleted returns the digest of a tag, to delete its manifest.
func (b *bench) deleted(tag string) string {
	b.Helper()
	d, err := b.repo.Resolve(b.Context(), tag)
	must(b, err)
	return string(d.Digest)
}

// The registry leaves uploads to another registry, which knows nothing of the login and writes
// relative Locations.
func TestF20AnUploadThatIsRedirectedElsewhereGoesThereWithoutTheLogin(t *testing.T) {
	relative := func(s string) string { u, _ := url.Parse(s); return u.RequestURI() }
	for name, rewrite := range map[string]func(string) string{
		"relative": relative,
		"absolute": func(s string) string { return s },
	} {
		t.Run(name, func(t *testing.T) {
			for _, chunk := range []int64{0, mib} {
				there := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), hostile.LocationTo(rewrite))
				blobs := func(r *http.Request) bool {
					kind := testbed.Parse(r.URL.Path).Kind
					return kind == testbed.Upload && r.Method == http.MethodPost || kind == testbed.Blob
				}
				here := testbed.Distribution(t, testbed.Options{Auth: testbed.Auth{Mode: testbed.Bearer},
					Front: redirecting(307, blobs, func(r *http.Request) string { return there.URL + r.URL.RequestURI() })})
				settings := withHost(here, credential.Settings{ChunkSize: chunk})
				to := client(t, withLogin, settings).Open(repo(here, "app"), remote.Use{Actions: remote.Push})
				data, d := noise(t, 1, 2*mib+1)
				_, err := to.Put(t.Context(), d, nil, opener(data))
				must(t, err)
				var stored bytes.Buffer
				there.Direct(t, "GET", "/v2/app/blobs/"+string(d.Digest), nil, nil, &stored)
				if !bytes.Equal(stored.Bytes(), data) {
					t.Errorf("%d of %d bytes are stored", stored.Len(), len(data))
				}
				for _, q := range there.Log() {
					if q.Header.Get("Authorization") != "" {
						t.Errorf("the login came along: %s %s", q.Method, q.Path)
					}
				}
			}
		})
	}
}

// A redirect of a write that is not followed names where it leads, and nothing is sent there.
func TestF20AWriteIsNotSentWhereItMustNotGo(t *testing.T) {
	upload := func(r *remote.Repository) error {
		data, d := noise(t, 1, 1000)
		_, err := r.Put(t.Context(), d, nil, opener(data))
		return err
	}
	manifest := func(r *remote.Repository) error {
		doc, err := oci.Parse(oci.Descriptor{}, []byte(`{"schemaVersion":2,"mediaType":"`+oci.TypeIndex+`","manifests":[]}`))
		must(t, err)
		_, err = r.PutDocument(t.Context(), doc, "v1")
		return err
	}
	remove := func(r *remote.Repository) error { return r.Delete(t.Context(), string(oci.Sum(nil))) }
	for name, c := range map[string]struct {
		code   int
		method string
		scheme testbed.Scheme
		to     string // "" is the canary
		do     func(*remote.Repository) error
	}{
		"301 to POST":              {code: 301, method: "POST", do: upload},
		"302 to PUT":               {code: 302, method: "PUT", do: upload},
		"303 to a manifest":        {code: 303, method: "PUT", do: manifest},
		"302 to DELETE":            {code: 302, method: "DELETE", do: remove},
		"307 to DELETE":            {code: 307, method: "DELETE", do: remove},
		"308 to DELETE":            {code: 308, method: "DELETE", do: remove},
		"307 from https to http":   {code: 307, method: "PUT", scheme: testbed.HTTPS, do: upload},
		"308 to http elsewhere":    {code: 308, method: "POST", to: "http://elsewhere.example/x", do: upload},
		"307 to a private address": {code: 307, method: "PUT", to: "https://10.0.0.7/x", do: manifest},
		"307 to the metadata":      {code: 307, method: "PUT", to: "https://169.254.169.254/x", do: upload},
		"307 with a user":          {code: 307, method: "PUT", to: "https://u:p@127.0.0.1/x", do: upload},
	} {
		t.Run(name, func(t *testing.T) {
			canary := hostile.Elsewhere(t, testbed.Options{})
			to := c.to
			if to == "" {
				to = canary.URL + "/there?secret=s3cret"
			}
			o := testbed.Options{Scheme: c.scheme, Auth: testbed.Auth{Mode: testbed.Basic}, Front: redirecting(c.code,
				func(r *http.Request) bool { return r.Method == c.method }, func(*http.Request) string { return to })}
			r := testbed.Distribution(t, o)
			settings := credential.Settings{}
			if c.scheme == testbed.HTTPS {
				settings.CAFile = r.CAFile(t)
			}
			err := c.do(client(t, withLogin, withHost(r, settings)).Open(repo(r, "app"), remote.Use{Actions: remote.Push}))
			wantKind(t, err, fault.Refused)
			if canary.Requests() != 0 || len(canary.Credentials()) != 0 {
				t.Errorf("the canary was visited: %s", canary.Story())
			}
			if c.to == "" && !strings.Contains(err.Error(), canary.Host) || fault.HintOf(err) == "" || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v (%s)", err, fault.HintOf(err))
			}
		})
	}
}

func TestF20WritesThatAreRedirectedInALoopEnd(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.RedirectTo("?again", 307).On("POST", testbed.Upload)}, func(b *bench) {
		data, d := noise(b, 1, 1000)
		_, err := b.repo.Put(b.Context(), d, nil, opener(data))
		wantKind(b, err, fault.Refused)
	})
}

func TestF20ARegistryThatSendsWritesToItsTLSSaysSo(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.RedirectTo("https://127.0.0.1:443/v2/app/blobs/uploads/", 301).On("POST", testbed.Upload)}, func(b *bench) {
		data, d := noise(b, 1, 1000)
		_, err := b.repo.Put(b.Context(), d, nil, opener(data))
		wantKind(b, err, fault.Refused)
		if !strings.Contains(fault.HintOf(err), "plain-http") {
			b.Errorf("%v (%s)", err, fault.HintOf(err))
		}
	})
}
