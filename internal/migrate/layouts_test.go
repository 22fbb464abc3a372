package migrate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

func TestARegistryGoesThroughLayoutsOnDiskToAnother(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "latest")
	y.Tagged("team/web", "1.0")
	testbed.Index(t, y.Src, "team/multi", "v1", 2)
	dir := filepath.Join(t.TempDir(), "stick") + "/"
	out := dray.TransferRequest{Sources: []string{"src"}, Target: "oci:" + dir}
	file := y.Written(out)
	got, sum, err := y.Transferred(out)
	if err != nil || strings.Count(got, " done") != 4 || sum.Repositories != 3 {
		t.Fatalf("%s %v", got, err)
	}
	for _, name := range []string{"app", "team/web", "team/multi"} {
		if _, err := os.Stat(filepath.Join(dir, name, "oci-layout")); err != nil {
			t.Error(err)
		}
	}
	y.Forget()
	if got, _, err := y.Transferred(out); got != "" || err != nil || y.Src.Count("GET", testbed.Blob) != 0 {
		t.Errorf("again: %s %v", got, err)
	}
	if got, _, err := y.FromFile(file, false); strings.Contains(got, "failed") || err != nil {
		t.Errorf("from a plan file: %s %v", got, err)
	}
	y.Verifies("", dray.VerifyRequest{Of: out, Depth: dray.Deep})

	in := dray.TransferRequest{Sources: []string{"oci:" + dir}, Target: "dst/mirror/"}
	got, sum, err = y.Transferred(in)
	if got != "mirror/app:latest done, mirror/app:v1 done, mirror/team/multi:v1 done, mirror/team/web:1.0 done" || err != nil {
		t.Fatalf("%s %v", got, err)
	}
	testbed.Same(t, y.Src, y.Dst, "team/multi", "v1", "mirror/team/multi", "v1")
	if got, _, err := y.Transferred(in); got != "" || err != nil {
		t.Errorf("again: %s %v", got, err)
	}
	rec := y.Verifies("", dray.VerifyRequest{Of: in, Depth: dray.Deep})
	if rec.Names != 4 || !rec.Right() {
		t.Errorf("%+v", rec)
	}
	in.Selection.IncludeRepositories, _ = plan.ParsePatterns("team/*")
	in.Mapping = plan.Mapping{StripPrefix: "team"}
	in.Target = "dst"
	if got, err := y.Planned(in); got != "copy multi:v1, copy web:1.0" || err != nil {
		t.Errorf("selected and mapped: %s %v", got, err)
	}
}

func TestOneLayoutIsOneRepository(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2")
	testbed.Random(t, y.Src, "other", "v3", testbed.RandomOptions{Seed: 40})
	dir := filepath.Join(t.TempDir(), "app")
	if got, _, err := y.Transferred(dray.TransferRequest{Sources: []string{"src/app", "src/other"}, Target: "oci:" + dir}); strings.Count(got, " done") != 3 || err != nil {
		t.Fatalf("%s %v", got, err)
	}
	if got, _, err := y.Transferred(dray.TransferRequest{Sources: []string{"oci:" + dir}, Target: "dst/back"}); got != "back:v1 done, back:v2 done, back:v3 done" || err != nil {
		t.Errorf("%s %v", got, err)
	}
	testbed.Same(t, y.Src, y.Dst, "app", "v2", "back", "v2")
	if _, err := y.Planned(dray.TransferRequest{Sources: []string{"oci:" + dir}, Target: "dst"}); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "a single layout has no repository name") {
		t.Errorf("%v", err)
	}
}

func TestLayoutsThatCanNotBeAreRefusedBeforeAnythingIsWritten(t *testing.T) {
	y := yard.New(t)
	y.Tagged("team", "v1")
	y.Tagged("team/app", "v1")
	root := t.TempDir()
	y.Forget()
	for _, c := range []struct {
		req  dray.TransferRequest
		want string
	}{
		{dray.TransferRequest{Sources: []string{"src"}, Target: "oci:" + root + "/"}, "it would be inside another layout"},
		{dray.TransferRequest{Sources: []string{"src"}, Target: "oci:" + root}, "several source repositories cannot be copied into one repository"},
		{dray.TransferRequest{Sources: []string{"src"}, Target: "oci:" + root + ":v1"}, "this names one image"},
		{dray.TransferRequest{Sources: []string{"oci:" + root + "/none/"}, Target: "dst"}, "no such file"},
		{dray.TransferRequest{Sources: []string{"src"}, Target: "oci:" + root + "/", CopyLocks: true, Mapping: plan.Mapping{Flatten: true}}, "only Azure's registries have such locks"},
	} {
		if got, err := y.Planned(c.req); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %s %v", c.want, got, err)
		}
	}
	if names, err := os.ReadDir(root); err != nil || len(names) != 0 {
		t.Errorf("%v %v", names, err)
	}
	flat := dray.TransferRequest{Sources: []string{"src"}, Target: "oci:" + root + "/", Mapping: plan.Mapping{Flatten: true}}
	if got, _, err := y.Transferred(flat); strings.Count(got, " done") != 2 || err != nil {
		t.Errorf("%s %v", got, err)
	}
	// Inside an existing layout, and in a directory with other files.
	if _, err := y.Planned(dray.TransferRequest{Sources: []string{"src/team"}, Target: "oci:" + root + "/team-app/"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
	if _, err := y.Planned(dray.TransferRequest{Sources: []string{"oci:" + root + "/team/"}, Target: "dst"}); !fault.Is(err, fault.Invalid) || fault.HintOf(err) != "leave off the slash at the end" {
		t.Errorf("%v", err)
	}
	bad := filepath.Join(root, "UPPER")
	if err := os.Rename(filepath.Join(root, "team"), bad); err != nil {
		t.Fatal(err)
	}
	if _, err := y.Planned(dray.TransferRequest{Sources: []string{"oci:" + root + "/"}, Target: "dst"}); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "its path is not a valid repository name") {
		t.Errorf("%v", err)
	}
}
