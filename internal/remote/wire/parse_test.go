package wire

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestLinksAreReadByRelation(t *testing.T) {
	for line, want := range map[string]string{
		`</v2/a/tags/list?last=b&n=2>; rel="next"`: "/v2/a/tags/list?last=b&n=2",
		`<x>;rel=next`: "x",
		`<x>; rel="prev", <y>; title="a"; rel="next"`: "y",
		`<x>; rel="prev",<y>; rel="next"`:             "y",
		`<x>; rel="prev"`:                             "",
		`<x>; rel="last next"`:                        "x",
		`<x>; rel='next'`:                             "x",
		`<x>`:                                         "x",
		`<x>; rel="last"`:                             "",
		`/v2/a/tags/list?last=b; rel="next"`:          "/v2/a/tags/list?last=b",
		`/v2/a/tags/list?last=b`:                      "/v2/a/tags/list?last=b",
		`</v2/a/tags/list?last=b; rel="next"`:         "/v2/a/tags/list?last=b",
		`x>; rel="next"`:                              "x",
		`<>; rel="next"`:                              "",
		`<a,b>; rel="next"`:                           "a,b",
	} {
		if got := NextLink(http.Header{"Link": {line}}); got != want {
			t.Errorf("%s is parsed as %q, want %q", line, got, want)
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

func FuzzLink(f *testing.F) {
	f.Add(`</v2/a/tags/list?last=b>; rel="next", <x>; rel=prev`)
	f.Add(`<,<;>`)
	f.Add(`a>b; rel="next"`)
	f.Fuzz(func(t *testing.T, s string) {
		if got := NextLink(http.Header{"Link": {s}}); !strings.Contains(s, got) || strings.Contains(got, ">") {
			t.Errorf("%q of %q", got, s)
		}
	})
}

// FuzzLocation checks that every accepted URL is at the registry's own origin or uses TLS, and that
// it contains no login.
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
		h := &Host{Name: origin.Host}
		at := &url.URL{Scheme: scheme, Host: origin.Host, Path: "/v2/a/blobs/uploads/"}
		for _, resolve := range []func(_, _ *url.URL, _ string) (*url.URL, error){h.Redirected, h.Located} {
			to, err := resolve(origin, at, location)
			if err != nil {
				continue
			}
			if to.User != nil || to.Hostname() == "" || !SameOrigin(to, origin) && to.Scheme != "https" || scheme == "https" && to.Scheme != "https" {
				t.Errorf("%q leads to %s", location, to)
			}
			if to.Fragment != "" {
				t.Errorf("%q keeps a fragment", location)
			}
		}
	})
}
