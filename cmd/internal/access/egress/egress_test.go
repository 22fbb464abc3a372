package egress

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
)

func TestWhichAddressesMayBeDialled(t *testing.T) {
	allow := []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fd00::/8")}
	e := Guard{Allow: allow}
	for ip, want := range map[string]string{
		"93.184.216.34": "public", "2606:2800:220:1::1": "public", "8.8.8.8": "public", "172.32.0.1": "public", "100.128.0.1": "public", "192.0.1.1": "public",

		"10.0.0.1": "inside", "172.16.0.1": "inside", "172.31.255.255": "inside", "192.168.1.1": "inside", "127.0.0.1": "inside", "127.9.9.9": "inside", "::1": "inside",
		"100.64.0.1": "inside", "198.18.0.1": "inside", "192.0.0.8": "inside", "fc00::1": "inside", "fec0::1": "inside", "::ffff:10.0.0.1": "inside", "::ffff:127.0.0.1": "inside",
		"64:ff9b::10.0.0.1": "inside", "64:ff9b::127.0.0.1": "inside", "64:ff9b:1::5": "never", "64:ff9b:1::8.8.8.8": "inside", "2002:a00:1::": "inside", "2002:7f00:1::1": "inside",
		"2001:0:808:808:0:0:f5ff:fffe": "inside", "2001:0:a00:1::": "never", "::10.0.0.1": "inside", "2606::5efe:10.0.0.1": "inside", "2606::200:5efe:192.168.0.1": "inside",

		"10.20.3.4": "allowed", "fd00::1": "allowed", "::ffff:10.20.3.4": "allowed", "64:ff9b::10.20.3.4": "allowed",

		"0.0.0.0": "never", "0.1.2.3": "never", "::": "never", "169.254.169.254": "never", "169.254.1.1": "never", "fe80::1": "never", "fe80::1%eth0": "never", "fd00:ec2::254": "never", "fd00:ec2::23": "never",
		"168.63.129.16": "never", "100.100.100.200": "never", "192.0.0.192": "never", "fd20:ce::254": "never", "224.0.0.1": "never", "239.1.1.1": "never", "ff02::1": "never", "255.255.255.255": "never", "240.0.0.1": "never",
		"::ffff:169.254.169.254": "never", "64:ff9b::169.254.169.254": "never", "64:ff9b::a9fe:a9fe": "never", "2002:a9fe:a9fe::": "never", "2002:a9fe:a9fe::1": "never", "::169.254.169.254": "never",
		"2001:0:0:0:0:0:5601:5601": "never", "2606::5efe:169.254.169.254": "never", "::ffff:0.0.0.0": "never",
	} {
		addr := netip.MustParseAddr(ip)
		admitted := func(e Guard, from origin) bool {
			err := e.admit("reg.example:443", addr, from)
			if err != nil && (!fault.Is(err, fault.Refused) || fault.HintOf(err) == "") {
				t.Errorf("%s: %v", ip, err)
			}
			return err == nil
		}
		got := "never"
		switch {
		case admitted(Guard{}, unnamed):
			got = "public"
		case admitted(e, unnamed):
			got = "allowed"
		case admitted(Guard{}, named):
			got = "inside"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", ip, got, want)
		}
	}
}

func TestConfiguredHostsAreKnownByNameAndPort(t *testing.T) {
	e := Guard{Hosts: []string{"reg.example", "lab.example:5000", "[::1]:5000", "10.0.0.1"}}
	for addr, want := range map[string]origin{
		"reg.example:443": named, "REG.example:80": named, "reg.example:22": unnamed, "lab.example:5000": named, "lab.example:443": unnamed, "[::1]:5000": named, "10.0.0.1:443": named,
		"10.0.0.1:5432": unnamed, "a.reg.example:443": unnamed, "nonsense": unnamed,
	} {
		if got := e.configured(addr); got != want {
			t.Errorf("%s: %q", addr, got)
		}
	}
}

func TestADialIsHeldAgainstTheAddressNotTheName(t *testing.T) {
	hits := 0
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ }))
	defer srv.Close()
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	for _, addr := range []string{srv.Listener.Addr().String(), "localhost:" + port, "[::ffff:127.0.0.1]:" + port, "0.0.0.0:" + port} {
		e := Guard{Hosts: []string{"reg.example"}}
		_, err := e.Dial(t.Context(), "tcp", addr)
		if !fault.Is(err, fault.Refused) {
			t.Errorf("got %v", err)
		}
		if !strings.Contains(err.Error(), addr) || fault.HintOf(err) == "" {
			t.Errorf("%v (%s)", err, fault.HintOf(err))
		}
	}
	if hits != 0 {
		t.Error("a refused dial reached the server")
	}
	for _, e := range []Guard{{Hosts: []string{srv.Listener.Addr().String()}}, {Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}} {
		conn, err := e.Dial(t.Context(), "tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&Guard{Hosts: []string{"reg.example"}}).Dial(ctx, "tcp", "reg.example:443"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestTheProxyOfTheEnvironmentMayBeDialled(t *testing.T) {
	env := map[string]string{"HTTPS_PROXY": "http://user:pw@10.0.0.1:3128", "http_proxy": "proxy.example", "HTTP_PROXY": "socks5://[::1]", "https_proxy": "http://%zz"}
	got := Proxies(func(name string) string { return env[name] })
	if want := []string{"10.0.0.1:3128", "[::1]:1080", "proxy.example:80"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	e := Guard{Hosts: got}
	if err := e.admit("10.0.0.1:3128", netip.MustParseAddr("10.0.0.1"), e.configured("10.0.0.1:3128")); err != nil {
		t.Error(err)
	}
	if e.configured("10.0.0.1:443") != unnamed {
		t.Error("other ports of the proxy's machine are allowed too")
	}
}
