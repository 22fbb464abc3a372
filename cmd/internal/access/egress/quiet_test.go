package egress

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/drayage/dray/fault"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

// tells fails if text contains an address.
func tells(t *testing.T, what, text string) {
	t.Helper()
	for _, part := range []string{"127.0.0.1", "::1", "10.9.8.7", ":53"} {
		if strings.Contains(text, part) {
			t.Errorf("%s tells %s: %s", what, part, text)
		}
	}
}

func TestErrorsAboutANameTellNoAddress(t *testing.T) {
	l := listen(t)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	name := "localhost:" + port
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))

	_, err := (&Guard{Log: logger}).Dial(t.Context(), "tcp", name)
	if !fault.Is(err, fault.Refused) {
		t.Errorf("got %v", err)
	}
	tells(t, "a refusal", err.Error()+fault.HintOf(err))
	if !strings.Contains(log.String(), "127.0.0.1") && !strings.Contains(log.String(), "::1") {
		t.Errorf("the log does not have the address: %s", &log)
	}

	g := &Guard{Allow: loopback, Log: logger}
	conn, err := g.Dial(t.Context(), "tcp4", name)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	_ = peer.SetLinger(0)
	peer.Close()
	_, err = io.ReadAll(conn)
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the read ends with %v", err)
	}
	tells(t, "a read", err.Error())
	conn.Close()
	_, err = conn.Write([]byte("x"))
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("the write ends with %v", err)
	}
	tells(t, "a write", err.Error())

	l.Close()
	log.Reset()
	_, err = g.Dial(t.Context(), "tcp4", name)
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
	tells(t, "a dial", err.Error())
	if !strings.Contains(log.String(), "127.0.0.1:"+port) {
		t.Errorf("the log does not have the address: %s", &log)
	}
	if _, err = g.Dial(t.Context(), "tcp", "127.0.0.1:"+port); !strings.Contains(err.Error(), "127.0.0.1:"+port) {
		t.Errorf("who named the address is not told it: %v", err)
	}
}

func TestErrorsOfALookupDoNotTellTheServer(t *testing.T) {
	for _, dns := range []net.DNSError{
		{Err: "no such host", Name: "reg.inner", Server: "10.9.8.7:53", IsNotFound: true},
		{Err: "read udp 10.9.8.7:4711->10.9.8.7:53: i/o timeout", Name: "reg.inner", Server: "10.9.8.7:53", IsTimeout: true, IsTemporary: true},
		{Err: "dial udp 10.9.8.7:53: connect: network is unreachable", Name: "reg.inner", Server: "10.9.8.7:53", IsTemporary: true},
		{Err: "server misbehaving", Name: "reg.inner", Server: "10.9.8.7:53", IsTemporary: true},
	} {
		err := unaddressed(&net.OpError{Op: "dial", Net: "tcp", Err: &dns})
		tells(t, "a lookup", err.Error())
		got, ok := errors.AsType[*net.DNSError](err)
		if !ok || got.IsNotFound != dns.IsNotFound || got.IsTimeout != dns.IsTimeout || got.IsTemporary != dns.IsTemporary {
			t.Errorf("%+v became %+v", dns, got)
		}
		if !strings.Contains(err.Error(), "reg.inner") {
			t.Errorf("the name is gone: %v", err)
		}
	}
}

func TestTheServerDoesNotConnectToItself(t *testing.T) {
	l := listen(t)
	port := l.Addr().(*net.TCPAddr).Port
	everywhere := &net.TCPAddr{IP: net.IPv6unspecified, Port: port}
	for what, self := range map[string]net.Addr{"its address": l.Addr(), "any of its addresses": everywhere} {
		_, err := (&Guard{Allow: loopback, Self: self}).Dial(t.Context(), "tcp4", l.Addr().String())
		if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "the server itself") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, self := range map[string]net.Addr{"no address": nil, "another port": &net.TCPAddr{IP: net.IPv6unspecified, Port: port + 1}, "another address": &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9), Port: port}} {
		conn, err := (&Guard{Allow: loopback, Self: self}).Dial(context.Background(), "tcp4", l.Addr().String())
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		conn.Close()
	}
}
