package migrate_test

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/beside"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// azureYard returns a yard of two registries with Azure's APIs and logins, and the shelf of
// team/app of each.
func azureYard(t *testing.T, front func(http.Handler) http.Handler) (y *yard.Yard, src, dst *beside.Shelf) {
	t.Helper()
	var regs []*testbed.Registry
	for i := range 2 {
		shelf := &beside.Shelf{Repo: "team/app", Live: true, TB: t}
		h := shelf.ACR(testbed.NewDistribution(t, testbed.Options{}))
		if i == 1 && front != nil {
			h = front(h)
		}
		regs = append(regs, testbed.Serve(t, h, testbed.Options{Auth: testbed.Auth{Mode: testbed.Bearer, Dialect: testbed.ACR}}))
		if i == 0 {
			src = shelf
		} else {
			dst = shelf
		}
	}
	login := func(context.Context, ref.Repo) (credential.Login, bool, error) {
		return credential.Login{User: "user", Password: credential.New(testbed.Password)}, true, nil
	}
	named := map[string]dray.Registry{}
	for i, name := range []string{"src", "dst"} {
		named[name] = dray.Registry{Host: regs[i].Host, Settings: dray.Settings{PlainHTTP: true, Kind: "acr"}}
	}
	d, err := dray.New(dray.Config{Registries: named, Logins: credential.Chain{login}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return &yard.Yard{Dray: d, T: t, Src: regs[0], Dst: regs[1]}, src, dst
}

func TestLocksOfAzureAreCopiedAfterTheTagsAndNothingIsUnlocked(t *testing.T) {
	y, src, dst := azureYard(t, nil)
	y.Tagged("team/app", "v1", "v2", "v3")
	testbed.Random(t, y.Dst, "team/app", "v2", testbed.RandomOptions{Seed: 2}) // already up to date
	src.Lock("v1", "writeEnabled", false)
	src.Lock("v1", "deleteEnabled", false)
	src.Lock("v2", "deleteEnabled", false)
	dst.Lock("v2", "writeEnabled", false) // only at the target
	req := dray.TransferRequest{Sources: []string{"src/team/app"}, Target: "dst", CopyLocks: true}
	file := y.Written(req)
	if again := y.Written(req); !bytes.Equal(file, again) || !bytes.Contains(file, []byte(`"locks":"delete,write"`)) || !bytes.Contains(file, []byte(`"locks":"delete"}`)) {
		t.Fatalf("%s", file)
	}
	y.Forget()
	got, sum, err := y.Transferred(req)
	if got != "team/app:v1 done, team/app:v3 done" || err != nil || sum.Locked != 2 || sum.States[dray.Unchanged] != 1 {
		t.Fatalf("%s %v %+v", got, err, sum)
	}
	want := map[string]map[string]bool{
		"v1": {"deleteEnabled": false, "writeEnabled": false, "readEnabled": true, "listEnabled": true},
		"v2": {"deleteEnabled": false, "writeEnabled": false, "readEnabled": true, "listEnabled": true},
		"v3": {"deleteEnabled": true, "writeEnabled": true, "readEnabled": true, "listEnabled": true},
	}
	for tag, attributes := range want {
		if !maps.Equal(dst.Locked(tag), attributes) {
			t.Errorf("%s: %v", tag, dst.Locked(tag))
		}
	}
	patched := 0
	for _, q := range y.Dst.Log() {
		if patched > 0 && q.Method == http.MethodPut {
			t.Error("a lock was set before the last tag")
		}
		if q.Method == http.MethodPatch && q.Kind == testbed.Own && q.Status == http.StatusOK {
			patched++
		}
	}
	if patched != 2 || sum.Traffic[y.Dst.Host].Requests != y.Dst.Requests() {
		t.Errorf("%d patched\n%s", patched, y.Dst.Story())
	}
	y.Forget()
	got, sum, err = y.Transferred(req)
	if got != "" || err != nil || sum.Locked != 0 || y.Dst.Count(http.MethodPatch, "") != 0 || yard.Spent(y.Src) != "GET own ×2" {
		t.Errorf("again: %s %v %s", got, err, yard.Spent(y.Src))
	}
	if again := y.Written(req); bytes.Contains(again, []byte("locks")) {
		t.Errorf("%s", again)
	}
	// A plan that was written before finds that everything is done.
	if got, _, err := y.FromFile(file, false); strings.Contains(got, "failed") || err != nil {
		t.Errorf("%s %v", got, err)
	}
}

func TestALockThatIsRefusedIsAFailureOfItsTag(t *testing.T) {
	y, src, _ := azureYard(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodPatch && strings.HasSuffix(req.URL.Path, "/_tags/v1") {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, req)
		})
	})
	y.Tagged("team/app", "v1", "v2")
	src.Lock("v1", "writeEnabled", false)
	src.Lock("v2", "writeEnabled", false)
	got, _, err := y.Transferred(dray.TransferRequest{Sources: []string{"src/team/app"}, Target: "dst", CopyLocks: true})
	if got != "team/app:v1 failed, team/app:v2 done" || !fault.Is(err, fault.Denied) {
		t.Errorf("%s %v", got, err)
	}
	testbed.Same(t, y.Src, y.Dst, "team/app", "v1", "team/app", "v1")
}

func TestLocksAreCopiedBetweenAzuresRegistriesOnly(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1")
	req := yard.Whole()
	req.CopyLocks = true
	y.Dst.Reset()
	if _, err := y.Planned(req); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "only Azure's registries have such locks") || y.Dst.Requests() != 0 {
		t.Errorf("%v", err)
	}
	for _, line := range []string{
		`{"action":"copy","from":"a.io/x:1@sha256:` + strings.Repeat("a", 64) + `","to":"b.io/x","size":0,"locks":"delete"}`,
		`{"action":"copy","from":"a.io/x:1@sha256:` + strings.Repeat("a", 64) + `","to":"b.io/x:1","size":0,"locks":"all"}`,
	} {
		if _, err := plan.Read(strings.NewReader(`{"plan":1,"verb":"transfer","overwrite":"update"}` + "\n" + line + "\n" + plan.End)); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: %v", line, err)
		}
	}
}
