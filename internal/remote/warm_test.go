package remote_test

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
)

// lines counts connections.
type lines struct{ dialed, open atomic.Int32 }

type Host struct {
	net.Conn
	of   *lines
	once sync.Once
}

func (l *Host) Close() error {
	l.once.Do(func() { l.of.open.Add(-1) })
	return l.Conn.Close()
}

func (l *lines) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l.dialed.Add(1)
	l.open.Add(1)
	return &Host{Conn: conn, of: l}, nil
}

// wait waits until n connections were dialed.
func (l *lines) wait(t *testing.T, n int32) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); l.dialed.Load() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d connections, want %d", l.dialed.Load(), n)
		}
	}
}

// counted returns a registry with an image, and a Client whose connections are counted from now on.
func counted(t *testing.T, o testbed.Options) (*testbed.Registry, *remote.Client, *lines, oci.Document) {
	t.Helper()
	r := testbed.Distribution(t, o)
	host := credential.Settings{PlainHTTP: true}
	if o.Scheme == testbed.HTTPS {
		host = credential.Settings{CAFile: r.CAFile(t)}
	}
	doc, _ := put(t, client(t, withHost(r, host)).Open(repo(r, "app"), remote.Use{Actions: remote.Push}), "v1")
	l := &lines{}
	c := client(t, withHost(r, host), func(o *remote.Options) { o.Dial = l.dial })
	if o.Scheme == testbed.HTTPS {
		must(t, c.Pin(r.Host, "https"))
	}
	return r, c, l, doc
}

func TestBodiesTakeConnectionsThatWereDialedBefore(t *testing.T) {
	r, c, l, doc := counted(t, testbed.Options{Scheme: testbed.HTTPS})
	c.Warm(t.Context(), r.Host)
	c.Warm(t.Context(), r.Host)
	l.wait(t, 2)
	from := c.Open(repo(r, "app"), remote.Use{})
	for _, d := range doc.Blobs[:2] {
		body, _, err := from.Blob(t.Context(), d, 0, -1)
		must(t, err)
		defer body.Close()
	}
	l.wait(t, 2)
}

func TestConnectionsThatNobodyTakesAreClosed(t *testing.T) {
	r, c, l, _ := counted(t, testbed.Options{Scheme: testbed.HTTPS})
	c.Warm(t.Context(), r.Host)
	l.wait(t, 2)
	c.Close()
	if n := l.open.Load(); n != 0 {
		t.Errorf("%d connections stay open", n)
	}
}

func TestAProcessThatGoesOnDoesNotKeepConnectionsThatNobodyTakes(t *testing.T) {
	r, c, l, _ := counted(t, testbed.Options{Scheme: testbed.HTTPS})
	c.Warm(t.Context(), r.Host)
	l.wait(t, 2)
	for end := time.Now().Add(20 * time.Second); l.open.Load() != 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d connections stay open", l.open.Load())
		}
	}
}

func TestWithoutTLSOneConnectionServesQuestionsAndBodies(t *testing.T) {
	r, c, l, _ := counted(t, testbed.Options{})
	c.Warm(t.Context(), r.Host)
	from := c.Open(repo(r, "app"), remote.Use{})
	doc, err := from.Document(t.Context(), "v1")
	must(t, err)
	for _, d := range doc.Blobs {
		body, _, err := from.Blob(t.Context(), d, 0, -1)
		must(t, err)
		_, err = io.Copy(io.Discard, body)
		must(t, err)
		must(t, body.Close())
	}
	l.wait(t, 1)
}
