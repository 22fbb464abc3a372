package wire

import (
	"net/netip"
	"net/url"
	"testing"
)

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
