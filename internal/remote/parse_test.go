package remote

import (
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/credential"
)

func TestChallengesAreReadHoweverSloppy(t *testing.T) {
	for line, want := range map[string]string{
		`Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"`: "bearer realm=https://a/t service=s scope=repository:x:pull,push",
		`bearer realm=https://a/t, service = s`:                                 "bearer realm=https://a/t service=s",
		`Basic realm="a \"b\""`:                                                 `basic realm=a "b"`,
		`Bearer realm="https://a/v2/token",service="x",scope="*`:                "bearer realm=https://a/v2/token service=x scope=*",
		`Basic realm="r", Bearer realm="https://a/t"`:                           "basic realm=r / bearer realm=https://a/t",
		`Bearer realm="https://a/t" service="s"`:                                "bearer realm=https://a/t service=s",
		`,, Negotiate, NTLM`:                                                    "negotiate / ntlm",
		`realm="alone"`:                                                         "",
		`Bearer REALM="https://a/t",realm="https://b/t"`:                        "bearer realm=https://a/t",
	} {
		var got []string
		for _, c := range parseChallenges(http.Header{"Www-Authenticate": {line}}) {
			s := c.scheme
			for _, key := range []string{"realm", "service", "scope"} {
				if v := c.params[key]; v != "" {
					s += " " + key + "=" + v
				}
			}
			got = append(got, s)
		}
		if s := strings.Join(got, " / "); s != want {
			t.Errorf("%s is read as %q, want %q", line, s, want)
		}
	}
}

func TestLinksAreReadByRelation(t *testing.T) {
	for line, want := range map[string]string{
		`</v2/a/tags/list?last=b&n=2>; rel="next"`: "/v2/a/tags/list?last=b&n=2",
		`<x>;rel=next`: "x",
		`<x>; rel="prev", <y>; title="a"; rel="next"`: "y",
		`<x>; rel="prev",<y>; rel="next"`:             "y",
		`<x>; rel="prev"`:                             "",
		`<x`:                                          "",
		`x>; rel="next"`:                              "",
		`<a,b>; rel="next"`:                           "a,b",
	} {
		if got := nextLink(http.Header{"Link": {line}}); got != want {
			t.Errorf("%s is read as %q, want %q", line, got, want)
		}
	}
}

func TestWaitsAreReadInSecondsAndDates(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Duration{
		"3": 3 * time.Second, " 3 ": 3 * time.Second, "0": 0, "-1": 0, "": 0, "soon": 0, "1.5": 1500 * time.Millisecond,
		"Fri, 20 Nov 2026 12:01:00 GMT": time.Minute, "Fri, 20 Nov 2026 11:59:00 GMT": 0,
		"99999999999999999999999999": 10 * 365 * 24 * time.Hour, "NaN": 0, "Inf": 10 * 365 * 24 * time.Hour,
	} {
		if got := parseRetryAfter(s, now); got != want {
			t.Errorf("%q is %v, want %v", s, got, want)
		}
	}
}

func TestATokensLifeIsClamped(t *testing.T) {
	now := time.Unix(1000, 0)
	jwt := "x.eyJleHAiOjE5MDB9.y" // exp 1900
	for _, c := range []struct {
		value, expires string
		want           time.Duration
	}{
		{"t", "300", 300 * time.Second}, {"t", `"300"`, 300 * time.Second}, {"t", "", time.Minute}, {"t", "null", time.Minute},
		{"t", "0", 30 * time.Second}, {"t", "-5", 30 * time.Second}, {"t", "1e10", time.Hour}, {"t", "NaN", 30 * time.Second},
		{jwt, "", 900 * time.Second}, {jwt, "120", 120 * time.Second},
	} {
		if got := lifeOf(c.value, []byte(c.expires), now); got != c.want {
			t.Errorf("%s %s is %v, want %v", c.value, c.expires, got, c.want)
		}
	}
}

func TestAddressesAreSortedByWhereTheyLead(t *testing.T) {
	for s, want := range map[string]place{
		"8.8.8.8": public, "2606:4700::1": public, "127.0.0.1": loopback, "::1": loopback, "::ffff:127.0.0.1": loopback,
		"10.1.1.1": private, "192.168.0.1": private, "172.16.0.1": private, "fd00::1": private, "100.64.0.1": private,
		"169.254.169.254": linkLocal, "fe80::1": linkLocal, "168.63.129.16": linkLocal, "100.100.100.200": linkLocal, "fd00:ec2::254": linkLocal,
		"0.0.0.0": nowhere, "::": nowhere, "224.0.0.1": nowhere, "255.255.255.255": nowhere,
		"64:ff9b::a9fe:a9fe": linkLocal, "64:ff9b::808:808": public, "2002:a00:1::": private, "0.1.2.3": nowhere,
	} {
		if got := placeOf(netip.MustParseAddr(s)); got != want {
			t.Errorf("%s is %s, want %s", s, got, want)
		}
	}
}

func TestPiecesFollowTheDialect(t *testing.T) {
	for name, c := range map[string]struct {
		host string
		set  credential.Settings
		want int64
	}{
		"plain": {"registry.example", credential.Settings{}, 0}, "asked for": {"registry.example", credential.Settings{ChunkSize: 5}, 5},
		"ghcr takes 4 MiB": {"ghcr.io", credential.Settings{ChunkSize: 64 << 20}, 4 << 20}, "ecr wants 5": {"1.dkr.ecr.eu-west-1.amazonaws.com", credential.Settings{ChunkSize: 1}, 5 << 20},
		"gar takes none": {"europe-docker.pkg.dev", credential.Settings{ChunkSize: 64 << 20}, 0}, "by kind": {"registry.example", credential.Settings{Kind: "ghcr", ChunkSize: 64 << 20}, 4 << 20},
	} {
		h := &host{dialect: dialectOf(c.host, c.set)}
		if got := h.chunkSize(); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	if d := dialectOf("notazurecr.io", credential.Settings{}); d.Kind != "" {
		t.Errorf("notazurecr.io is %s", d.Kind)
	}
	if d := dialectOf("eu.gcr.io", credential.Settings{}); d.Kind != "gar" {
		t.Errorf("eu.gcr.io is %q", d.Kind)
	}
}

func FuzzChallenge(f *testing.F) {
	f.Add(`Bearer realm="https://a/t",service="s",scope="*`)
	f.Add(`Basic realm="r", Bearer realm=https://a/t`)
	f.Add(`a=,"\`)
	f.Fuzz(func(t *testing.T, s string) {
		for _, c := range parseChallenge(s) {
			if c.scheme == "" || c.scheme != strings.ToLower(c.scheme) {
				t.Errorf("scheme %q", c.scheme)
			}
		}
	})
}

func FuzzLink(f *testing.F) {
	f.Add(`</v2/a/tags/list?last=b>; rel="next", <x>; rel=prev`)
	f.Add(`<,<;>`)
	f.Fuzz(func(t *testing.T, s string) {
		if got := nextLink(http.Header{"Link": {s}}); !strings.Contains(s, got) || strings.Contains(got, ">") {
			t.Errorf("%q of %q", got, s)
		}
	})
}

func FuzzRange(f *testing.F) {
	f.Add("bytes 0-9/10")
	f.Add("bytes=0-0")
	f.Add("0-9223372036854775807")
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := parseUploadRange(s); ok && n <= 0 {
			t.Errorf("%q is %d bytes", s, n)
		}
		if first, last, total, ok := parseContentRange(s); ok && (first < 0 || last < first || total != -1 && total <= last) {
			t.Errorf("%q is %d-%d/%d", s, first, last, total)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120")
	f.Add("Fri, 20 Nov 2026 12:01:00 GMT")
	f.Add("1e400")
	f.Fuzz(func(t *testing.T, s string) {
		if d := parseRetryAfter(s, time.Unix(1e9, 0)); d < 0 || d > 10*366*24*time.Hour || float64(d) == math.Inf(1) {
			t.Errorf("%q is %v", s, d)
		}
	})
}

// FuzzLocation holds that what comes out is the registry's own origin or is
// reached with TLS, and never holds a login.
func FuzzLocation(f *testing.F) {
	f.Add("/v2/x?state=1", "https")
	f.Add("//evil.example/x", "https")
	f.Add("http://registry.example:443/x", "https")
	f.Add("https://u:p@registry.example/", "http")
	f.Add("http://127.0.0.1:99/", "http")
	f.Fuzz(func(t *testing.T, location, scheme string) {
		if scheme != "http" {
			scheme = "https"
		}
		origin := &url.URL{Scheme: scheme, Host: "registry.example"}
		h := &host{name: origin.Host}
		at := &url.URL{Scheme: scheme, Host: origin.Host, Path: "/v2/a/blobs/uploads/"}
		for _, resolve := range []func(_, _ *url.URL, _ string) (*url.URL, error){h.redirected, h.located} {
			to, err := resolve(origin, at, location)
			if err != nil {
				continue
			}
			if to.User != nil || to.Hostname() == "" || !sameOrigin(to, origin) && to.Scheme != "https" || scheme == "https" && to.Scheme != "https" {
				t.Errorf("%q leads to %s", location, to)
			}
			if to.Fragment != "" {
				t.Errorf("%q keeps a fragment", location)
			}
		}
	})
}
