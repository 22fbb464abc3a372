package apply_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
)

// besides copies app:v1, an image with layers of size bytes, from a registry with faults in virtual time.
func besides(t *testing.T, size int64, faults []*hostile.Fault, check func(t *testing.T, rep dray.Report, err error, a, b *testbed.Registry)) {
	t.Helper()
	src, dst := testbed.NewDistribution(t, testbed.Options{}), testbed.NewDistribution(t, testbed.Options{})
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Second) }) // a server waits half a second before it closes a connection early
		a := hostile.Serve(t, src, testbed.Options{Wire: testbed.Pipes, Host: "src.example:5000"}, faults...)
		b := testbed.Serve(t, dst, testbed.Options{Wire: testbed.Pipes, Host: "dst.example:5000"})
		testbed.Random(t, a, "app", "v1", testbed.RandomOptions{Size: size})
		d, err := dray.New(dray.Config{Settings: dray.Settings{PlainHTTP: true}, Dial: testbed.Dialer(a, b)})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		y := &yard.Yard{Dray: d, T: t, Src: a, Dst: b}
		rep, err := y.Copy(dray.CopyRequest{Source: a.Host + "/app:v1", Targets: []string{b.Host + "/app"}})
		check(t, rep, err, a, b)
	})
}

// F-09: the length of the answer says nothing, so that only the bytes show it.
func TestF09ABlobThatIsLongerIsCorruptHoweverItIsRead(t *testing.T) {
	for name, c := range map[string]struct {
		size   int64
		faults []*hostile.Fault
	}{
		"in one answer":             {1 << 20, []*hostile.Fault{hostile.EndlessBody(10)}},
		"by one byte":               {1 << 20, []*hostile.Fault{hostile.EndlessBody(1)}},
		"with a length":             {1 << 20, []*hostile.Fault{hostile.LongerBody(10)}},
		"in ranges":                 {34 << 20, []*hostile.Fault{hostile.EndlessBody(10), hostile.Trickle(8 << 20)}},
		"where there are no ranges": {34 << 20, []*hostile.Fault{hostile.EndlessBody(10), hostile.IgnoreRange(), hostile.Trickle(8 << 20)}},
		"after a break":             {1 << 20, []*hostile.Fault{hostile.EndlessBody(10), hostile.CutBodyAt(1 << 19).Times(2)}},
	} {
		t.Run(name, func(t *testing.T) {
			besides(t, c.size, c.faults, func(t *testing.T, rep dray.Report, err error, a, b *testbed.Registry) {
				t.Helper()
				if err == nil && len(rep.Steps) == 1 {
					err = rep.Steps[0].Err
				}
				if !fault.Is(err, fault.Corrupt) {
					t.Errorf("%v, want kind %q\n%s", err, fault.Corrupt, a.Story())
				}
				if n := b.Count("PUT", testbed.Manifest); n != 0 {
					t.Errorf("%d manifests were put", n)
				}
			})
		})
	}
}

func TestAHeadIsReadAsTolerantlyAsAGet(t *testing.T) {
	for name, kind := range map[string]string{
		"it says text":         "text/plain",
		"it says text, longer": "text/plain; charset=utf-8",
		"it says JSON":         "application/json",
		"it says bytes":        "application/octet-stream",
		"upper case":           strings.ToUpper(oci.TypeManifest),
		"a parameter":          oci.TypeManifest + "; charset=utf-8",
		"nothing":              "",
	} {
		t.Run(name, func(t *testing.T) {
			besides(t, 100, []*hostile.Fault{hostile.WrongContentType(kind).On("HEAD", testbed.Manifest)}, copied)
			besides(t, 100, []*hostile.Fault{hostile.WrongContentType(kind)}, copied)
		})
	}
}

func copied(t *testing.T, rep dray.Report, err error, a, b *testbed.Registry) {
	t.Helper()
	if err != nil || rep.Count(dray.Done) != 1 {
		t.Fatalf("%v %s\n%s", err, yard.States(rep), a.Story())
	}
	testbed.Same(t, a, b, "app", "v1", "app", "v1")
}
