package apply_test

import (
	"fmt"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
)

func TestALayerIsMountedWithATokenForBothRepositories(t *testing.T) {
	dst := testbed.Distribution(t, testbed.Options{Auth: testbed.Auth{Mode: testbed.Bearer}})
	y := yard.Of(t, testbed.Distribution(t, testbed.Options{}), dst)
	req := dray.BatchRequest{Target: "dst", TargetLogin: &credential.Login{User: "user", Password: credential.New(testbed.Password)}}
	for i := range 4 { // one image under four names
		repo := fmt.Sprint("r", i)
		testbed.Random(t, y.Src, repo, "v1", testbed.RandomOptions{Seed: 5, Layers: 2})
		req.Entries = append(req.Entries, dray.BatchEntry{Source: "src/" + repo + ":v1"})
	}
	rep := y.Must(y.Applied(y.PlanBatch(t.Context(), req, nil)))
	sent, mounted := 0, 0
	for _, s := range rep.Steps {
		sent, mounted = sent+s.Blobs.Sent, mounted+s.Blobs.Mounted
	}
	if sent != 3 || mounted != 9 {
		t.Errorf("%d blobs sent, %d mounted\n%s", sent, mounted, dst.Story())
	}
}

// The records of earlier runs name a repository that the login of this run may not read.
func TestALayerThatALoginMayNotReadElsewhereIsSent(t *testing.T) {
	auth := testbed.Auth{
		Mode:  testbed.Bearer,
		Users: map[string]string{"all": testbed.Password, "web": testbed.Password},
		May:   func(user, repo, _ string) bool { return user == "all" || repo == "web" },
	}
	y := yard.Of(t, testbed.Distribution(t, testbed.Options{}), testbed.Distribution(t, testbed.Options{Auth: auth}))
	testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{Layers: 2})
	state := t.TempDir()
	for _, c := range []struct{ user, target string }{{"all", "dst/secret:v1"}, {"web", "dst/web:v1"}} {
		y.Run(state)
		login := &credential.Login{User: c.user, Password: credential.New(testbed.Password)}
		rep := y.Must(y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{c.target}, TargetLogin: login}))
		if got := rep.Steps[0].Blobs; got.Sent != 3 || got.Mounted != 0 {
			t.Errorf("as %s: %+v\n%s", c.user, got, y.Dst.Story())
		}
	}
}
