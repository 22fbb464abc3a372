package apply_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
)

// A layer whose source is slow on each connection is read over several connections, even if some of
// them break. No byte is requested twice, and the target receives the upload as usual.
func TestALargeLayerOfASlowSourceComesInRangesAndEachByteOnce(t *testing.T) {
	const size = 34 << 20
	for name, faults := range map[string][]*hostile.Fault{
		"with broken parts": {hostile.CutBodyAt(1<<20).Nth(3, 5, 8)},
		"without ranges":    {hostile.IgnoreRange()},
	} {
		t.Run(name, func(t *testing.T) {
			src, dst := testbed.NewDistribution(t, testbed.Options{}), testbed.NewDistribution(t, testbed.Options{})
			synctest.Test(t, func(t *testing.T) {
				t.Cleanup(func() { time.Sleep(time.Second) }) // a server waits half a second before it closes a connection early
				a := hostile.Serve(t, src, testbed.Options{Wire: testbed.Pipes, Host: "src.example:5000"}, append(faults, hostile.Trickle(8<<20))...)
				b := testbed.Serve(t, dst, testbed.Options{Wire: testbed.Pipes, Host: "dst.example:5000"})
				image := testbed.Random(t, a, "app", "v1", testbed.RandomOptions{Size: size})
				d, err := dray.New(dray.Config{Settings: dray.Settings{PlainHTTP: true}, Dial: testbed.Dialer(a, b)})
				if err != nil {
					t.Fatal(err)
				}
				defer d.Close()
				begun := time.Now()
				y := &yard.Yard{Dray: d, T: t, Src: a, Dst: b}
				rep, err := y.Copy(dray.CopyRequest{Source: a.Host + "/app:v1", Targets: []string{b.Host + "/app"}})
				if err != nil || rep.Count(dray.Done) != 1 {
					t.Fatalf("%v %s\n%s", err, yard.States(rep), a.Story())
				}
				took := time.Since(begun)
				testbed.Same(t, a, b, "app", "v1", "app", "v1")
				_, out := a.Sent("GET", testbed.Blob)
				if total := image.Bytes; out > total+total/50 {
					t.Errorf("%d bytes were read, of %d\n%s", out, total, a.Story())
				}
				if slow := took > time.Minute; slow != (name == "without ranges") { // Trickle sends 32 KiB at a time
					t.Errorf("took %v\n%s", took, a.Story())
				}
				if name == "with broken parts" { // if the source has no ranges, connections with bytes on the way are closed
					y.Spends(rep.Traffic, a, b)
				}
				if posts, puts := b.Count("POST", testbed.Upload), b.Count("PUT", testbed.Upload); posts != 2 || puts != 2 {
					t.Errorf("%d POSTs and %d PUTs for two blobs", posts, puts)
				}
			})
		})
	}
}
