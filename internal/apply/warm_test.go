package apply_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

// The source answers the request for its manifest only after connections for blobs were opened at
// both sides.
func TestConnectionsForBlobsAreDialledWhileTheManifestIsRead(t *testing.T) {
	var mu sync.Mutex
	dials := map[string]int{}
	count := func(host string) int {
		mu.Lock()
		defer mu.Unlock()
		return dials[host]
	}
	dst := testbed.Distribution(t, testbed.Options{Scheme: testbed.HTTPS})
	early := true
	held := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") {
				for end := time.Now().Add(10 * time.Second); early && (count(r.Host) < 3 || count(dst.Host) < 3); time.Sleep(time.Millisecond) {
					early = time.Now().Before(end)
				}
			}
			h.ServeHTTP(w, r)
		})
	}
	src := testbed.Serve(t, held(testbed.NewDistribution(t, testbed.Options{})), testbed.Options{Scheme: testbed.HTTPS})
	testbed.Random(t, src, "app", "v1", testbed.RandomOptions{Layers: 1, Size: 1000})
	d, err := dray.New(dray.Config{Settings: dray.Settings{Insecure: true}, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		mu.Lock()
		dials[addr]++
		mu.Unlock()
		return new(net.Dialer).DialContext(ctx, network, addr)
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	y := &yard.Yard{Dray: d, T: t, Src: src, Dst: dst}
	rep, err := y.Copy(dray.CopyRequest{Source: src.Host + "/app:v1", Targets: []string{dst.Host + "/app"},
		Referrers: plan.Referrers{Mode: plan.ReferrersNone}})
	if err != nil || rep.Count(dray.Done) != 1 {
		t.Fatalf("%v %s", err, yard.States(rep))
	}
	if !early || count(src.Host) != 3 || count(dst.Host) != 3 {
		t.Errorf("early %v; %d connections to the source and %d to the target, want 3 each", early, count(src.Host), count(dst.Host))
	}
}
