package remote_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
)

func TestTheConnectionOnWhichALoopbackHostIsAskedForTLSIsKept(t *testing.T) {
	for name, o := range map[string]testbed.Options{
		"h1": {Scheme: testbed.HTTPS}, "h2": {Scheme: testbed.HTTPS, Protocol: testbed.HTTP2},
	} {
		r := testbed.Distribution(t, o)
		var dials atomic.Int32
		c := client(t, withHost(r, credential.Settings{CAFile: r.CAFile(t)}), func(o *remote.Options) {
			o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				dials.Add(1)
				return new(net.Dialer).DialContext(ctx, network, addr)
			}
		})
		for range 3 {
			_, err := c.Open(repo(r, "app"), remote.Use{}).Resolve(t.Context(), "v1")
			wantKind(t, err, fault.NotFound)
		}
		if dials.Load() != 1 {
			t.Errorf("%s: %d connections, want 1", name, dials.Load())
		}
		c.Close()
	}
}

func TestALoopbackHostWithAForeignCertificateIsNotTakenForOneWithoutTLS(t *testing.T) {
	r := testbed.Distribution(t, testbed.Options{Scheme: testbed.HTTPS})
	_, err := client(t).Open(repo(r, "app"), remote.Use{}).Resolve(t.Context(), "v1")
	wantKind(t, err, fault.Refused)
	if r.Requests() != 0 {
		t.Error(r.Story())
	}
}
