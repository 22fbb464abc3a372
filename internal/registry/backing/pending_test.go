package backing_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/internal/registry/backing"
	"github.com/drayage/dray/internal/registry/tend"
)

// begun begins an object, and forgets it as a process does that is killed.
func begun(t *testing.T, d *backing.Driver, name string) {
	t.Helper()
	w, err := d.Writer(t.Context(), name, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 6<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// dated puts a proxy before moto, which says of each upload that it was begun in 2010. Behind the proxy it was begun
// when the test says.
func dated(t *testing.T, s backing.Storage, begun *atomic.Int64) backing.Storage {
	t.Helper()
	moto, err := url.Parse(s.Parameters["regionendpoint"].(string))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(moto)
	proxy.ModifyResponse = func(r *http.Response) error {
		if !r.Request.URL.Query().Has("uploads") || r.Request.Method != http.MethodGet {
			return nil
		}
		raw, err := io.ReadAll(r.Body)
		r.Body.Close()
		now := time.Unix(begun.Load(), 0).UTC().Format("2006-01-02T15:04:05.000Z")
		raw = bytes.ReplaceAll(raw, []byte("2010-11-10T20:48:33.000Z"), []byte(now))
		r.Body = io.NopCloser(bytes.NewReader(raw))
		return err
	}
	srv := httptest.NewServer(proxy)
	t.Cleanup(srv.Close)
	s.Parameters["regionendpoint"] = srv.URL
	return s
}

func pending(t *testing.T, d *backing.Driver) map[string]bool {
	t.Helper()
	all, err := d.Pending(t.Context(), "/")
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]bool{}
	for _, p := range all {
		paths[p.Path] = true
	}
	return paths
}

func orphans(t *testing.T, d *backing.Driver) []backing.Pending {
	t.Helper()
	all, err := tend.Orphans(t.Context(), d, tend.Life)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestPartsThatBelongToNoUploadAreRemovedFromABucket(t *testing.T) {
	const blob = "/docker/registry/v2/blobs/sha256/ab/abcd/data"
	lost := path.Join(tend.Root, "team/app/_uploads/1/data")
	unfinished := path.Join(tend.Root, "team/app/_uploads/2/data")
	onEach(t, func(t *testing.T, s backing.Storage) {
		t.Helper()
		var since atomic.Int64
		since.Store(time.Now().Unix())
		if s.Driver == "s3" {
			s = dated(t, s, &since)
		}
		d, err := s.Open(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{blob, lost, unfinished} {
			begun(t, d, name)
		}
		if s.Driver != "s3" {
			if got := pending(t, d); len(got) != 0 {
				t.Errorf("pending: %v", got)
			}
			return
		}
		if err := d.PutContent(t.Context(), path.Join(path.Dir(unfinished), "startedat"), []byte("now")); err != nil {
			t.Fatal(err)
		}
		if got := pending(t, d); len(got) != 3 || !got[blob] || !got[lost] || !got[unfinished] {
			t.Fatalf("pending: %v", got)
		}
		if young := orphans(t, d); len(young) != 0 {
			t.Errorf("what was just begun is an orphan: %v", young)
		}
		collects(t, s, d, registry.CollectOptions{}, 0, 3)
		since.Store(time.Now().Add(-tend.Life - time.Minute).Unix())
		old := orphans(t, d)
		if len(old) != 2 {
			t.Fatalf("orphans: %v", old)
		}
		for range 2 { // another server may have been faster
			if err := old[0].Abort(t.Context()); err != nil {
				t.Error(err)
			}
		}
		collects(t, s, d, registry.CollectOptions{DryRun: true}, 1, 2)
		collects(t, s, d, registry.CollectOptions{}, 1, 1)
		if got := pending(t, d); !got[unfinished] {
			t.Errorf("left: %v", got)
		}
		begun(t, d, lost)
		since.Store(time.Now().Unix())
		collects(t, s, d, registry.CollectOptions{Keep: -1}, 2, 0)
	})
}

// collects runs a clean-up, which must remove some uploads and leave some pending.
func collects(t *testing.T, s backing.Storage, d *backing.Driver, o registry.CollectOptions, removed, left int) {
	t.Helper()
	o.Storage = s
	sum, err := registry.Collect(t.Context(), t.TempDir(), o)
	if err != nil || sum.Removed.Uploads != removed {
		t.Errorf("%+v %v", sum, err)
	}
	if got := pending(t, d); len(got) != left {
		t.Errorf("left: %v", got)
	}
}
