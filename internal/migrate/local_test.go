package migrate_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

const hereHost = "here.example:5000"

// local makes a registry of this process a dray.Local.
type local struct{ *registry.Registry }

func (l local) Open(repo ref.Repo) (place.LocalRepository, error) { return l.Store(repo) }

// newLocalYard returns a yard with a registry over HTTP, "src", and one in this process, "here". A
// connection to any other address than src fails the test.
func newLocalYard(t *testing.T) *yard.Yard {
	t.Helper()
	reg, err := registry.Open(t.Context(), registry.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	src := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	d, err := dray.NewWith(dray.Config{
		Registries: map[string]dray.Registry{
			"src":  {Host: src.Host, Settings: dray.Settings{PlainHTTP: true}},
			"here": {Host: hereHost},
		},
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr != src.Host {
				t.Errorf("a connection to %s was opened", addr)
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}, place.Inside{Local: func(host string) (place.Local, bool) { return local{reg}, host == hereHost }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return &yard.Yard{Dray: d, T: t, Src: src, Dst: src}
}

func TestAnImportIntoARegistryOfThisProcessMakesNoRequestThere(t *testing.T) {
	y := newLocalYard(t)
	testbed.Random(t, y.Src, "team/app", "v1", testbed.RandomOptions{Layers: 2, Size: 64 << 10})
	want := digest(y, "src/team/app:v1")
	y.Forget()
	rep := y.Must(y.Import(dray.ImportRequest{Source: "src/team/app:v1", Target: "here", Images: []string{"app:v1", "app:latest"},
		Referrers: plan.Referrers{Mode: plan.ReferrersNone}}))
	y.WantSpent("GET blob ×3, GET manifest ×1, HEAD manifest ×1", "")
	if rep.Count(dray.Done) != 2 || rep.Steps[0].Blobs.Sent != 3 {
		t.Errorf("%+v", rep.Steps)
	}
	for _, name := range []string{"here/app:v1", "here/app:latest"} {
		if got := digest(y, name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if _, err := y.Import(dray.ImportRequest{Source: "src/team/app:v1", Target: "here", Images: []string{"app:v1"}, Overwrite: plan.Refuse}); err != nil && !fault.Is(err, fault.Conflict) {
		t.Error(err)
	}

	y.Forget()
	y.Must(y.Copy(dray.CopyRequest{Source: "here/app:v1", Targets: []string{"here/copy:v1", "src/back:v1"}}))
	testbed.Same(t, y.Src, y.Src, "team/app", "v1", "back", "v1")
	if got := digest(y, "here/copy:v1"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func digest(y *yard.Yard, name string) string {
	y.T.Helper()
	d, err := y.Digest(y.T.Context(), dray.LookRequest{Name: name}, nil)
	if err != nil {
		y.T.Fatal(err)
	}
	return string(d.Digest)
}

func TestARegistryOfThisProcessIsTransferredListedAndCleaned(t *testing.T) {
	y := newLocalYard(t)
	for i, tag := range []string{"v1", "v2"} {
		testbed.Random(t, y.Src, "team/app", tag, testbed.RandomOptions{Layers: 1, Size: 1 << 10, Seed: uint64(i + 1)})
	}
	testbed.Random(t, y.Src, "other", "v1", testbed.RandomOptions{Layers: 1, Size: 1 << 10})
	req := dray.TransferRequest{Sources: []string{"src"}, Target: "here/mirror/"}
	for range 2 { // the second time everything is up to date
		if rep, err := y.Transfer(t.Context(), req, nil, func(dray.RepositoryReport) error { return nil }); err != nil {
			t.Fatalf("%v: %+v", err, rep)
		}
	}
	back := dray.TransferRequest{Sources: []string{"here/mirror/"}, Target: "src/back/"}
	if _, err := y.Transfer(t.Context(), back, nil, func(dray.RepositoryReport) error { return nil }); err != nil {
		t.Fatal(err)
	}
	list := func(name string) string {
		t.Helper()
		var all []string
		err := y.List(t.Context(), dray.LookRequest{Name: name}, nil, func(e dray.Entry) error {
			all = append(all, e.Name)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(all)
		return strings.ReplaceAll(strings.Join(all, " "), hereHost+"/", "")
	}
	if got := list("here"); got != "mirror/other mirror/team/app" {
		t.Error(got)
	}
	if got := list("here/mirror/team/app"); got != "mirror/team/app:v1 mirror/team/app:v2" {
		t.Error(got)
	}
	n := 0
	err := y.ListManifests(t.Context(), dray.LookRequest{Name: "here/mirror/team/app"}, nil, func(e dray.ManifestEntry) error {
		if n++; len(e.Tags) != 1 || e.Size < 1<<10 {
			t.Errorf("%+v", e)
		}
		return nil
	})
	if err != nil || n != 2 {
		t.Error(n, err)
	}
	_, err = y.Copy(dray.CopyRequest{Source: "here/mirror/team/app:v3", Targets: []string{"here/x:v1"}})
	if !fault.Is(err, fault.NotFound) || !strings.Contains(fault.HintOf(err), "v2") {
		t.Error(err, fault.HintOf(err))
	}
	gone, err := y.PlanRemove(t.Context(), dray.RemoveRequest{Image: "here/mirror/team/app:v1", What: dray.RemoveManifest}, nil)
	if err == nil {
		err = y.Remove(t.Context(), gone, nil, nil)
	}
	if got := list("here/mirror/team/app"); err != nil || got != "mirror/team/app:v2" {
		t.Error(fmt.Sprint(got, err))
	}
	check, err := y.Check(t.Context(), dray.CheckRequest{Source: "here/mirror/team/app:v2", Target: "here/app"}, nil)
	if err != nil {
		t.Errorf("%v: %+v", err, check)
	}
}
