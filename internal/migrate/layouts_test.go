package migrate_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
	if names, err := os.ReadDir(dir); err != nil || len(names) != 4 {
		t.Errorf("it is not one layout: %v %v", names, err)
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

// What earlier versions wrote is read, and continued.
func TestADirectoryOfLayoutsIsReadAndContinued(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1")
	y.Tagged("team/web", "1.0")
	root := t.TempDir()
	for _, path := range []string{"app", "team/web"} {
		if _, _, err := y.Transferred(dray.TransferRequest{Sources: []string{"src/" + path}, Target: "oci:" + filepath.Join(root, path)}); err != nil {
			t.Fatal(err)
		}
	}
	all := dray.TransferRequest{Sources: []string{"src"}, Target: "oci:" + root + "/"}
	if got, _, err := y.Transferred(all); got != "" || err != nil {
		t.Errorf("what is there: %s %v", got, err)
	}
	y.Tagged("team/new", "1.0")
	if got, _, err := y.Transferred(all); strings.Count(got, " done") != 1 || err != nil {
		t.Errorf("what is new: %s %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(root, "team", "new", "oci-layout")); err != nil {
		t.Error(err)
	}
	y.Verifies("", dray.VerifyRequest{Of: all, Depth: dray.Deep})
	back := dray.TransferRequest{Sources: []string{"oci:" + root + "/"}, Target: "dst/back/"}
	if got, _, err := y.Transferred(back); got != "back/app:v1 done, back/team/new:1.0 done, back/team/web:1.0 done" || err != nil {
		t.Errorf("back: %s %v", got, err)
	}
	// Into one layout.
	one := dray.TransferRequest{Sources: []string{"oci:" + root + "/"}, Target: "oci:" + t.TempDir() + "/"}
	if got, _, err := y.Transferred(one); got != "app:v1 done, team/new:1.0 done, team/web:1.0 done" || err != nil {
		t.Errorf("into one layout: %s %v", got, err)
	}
	y.Verifies("", dray.VerifyRequest{Of: dray.TransferRequest{Sources: []string{one.Target}, Target: "dst/back/"}, Depth: dray.Deep})
}

// A repository may be the prefix of another. On disk, each image has its whole name.
func TestARepositoryBelowAnotherGoesToDiskAndComesBack(t *testing.T) {
	y := yard.New(t)
	y.Tagged("apple", "v1")
	testbed.Random(t, y.Src, "apple/pie", "v1", testbed.RandomOptions{Seed: 7})
	dir := filepath.Join(t.TempDir(), "stick") + "/"
	out := dray.TransferRequest{Sources: []string{"src"}, Target: "oci:" + dir}
	want := fmt.Sprintf("copy %[1]s/apple/pie:v1, copy %[1]s/apple:v1", y.Src.Host)
	if got, err := y.Planned(out); strings.Join(sorted(got), ", ") != want || err != nil {
		t.Errorf("plan: %s, want %s, %v", got, want, err)
	}
	if got, _, err := y.Transferred(out); strings.Count(got, " done") != 2 || err != nil {
		t.Fatalf("%s %v", got, err)
	}
	in := dray.TransferRequest{Sources: []string{"oci:" + dir}, Target: "dst"}
	if got, _, err := y.Transferred(in); got != "apple/pie:v1 done, apple:v1 done" && got != "apple:v1 done, apple/pie:v1 done" || err != nil {
		t.Fatalf("%s %v", got, err)
	}
	testbed.Same(t, y.Src, y.Dst, "apple", "v1", "apple", "v1")
	testbed.Same(t, y.Src, y.Dst, "apple/pie", "v1", "apple/pie", "v1")
	y.Verifies("", dray.VerifyRequest{Of: out, Depth: dray.Deep})
	y.Verifies("", dray.VerifyRequest{Of: in, Depth: dray.Deep})
}

func sorted(list string) []string {
	parts := strings.Split(list, ", ")
	slices.Sort(parts)
	return parts
}

// 20 repositories over one layer of 5 MB took 96 MB when each repository was a layout.
func TestRepositoriesOfOneLayoutStoreALayerOnce(t *testing.T) {
	y := yard.New(t)
	const repositories, layer = 20, 5 << 20
	for i := range repositories {
		testbed.Random(t, y.Src, fmt.Sprintf("app%02d", i), "v1", testbed.RandomOptions{Seed: 3, Layers: 1, Size: layer})
	}
	dir := filepath.Join(t.TempDir(), "stick") + "/"
	out := dray.TransferRequest{Sources: []string{"src"}, Target: "oci:" + dir}
	if got, _, err := y.Transferred(out); strings.Count(got, " done") != repositories || err != nil {
		t.Fatalf("%s %v", got, err)
	}
	var size int64
	err := filepath.WalkDir(dir, func(_ string, f fs.DirEntry, err error) error {
		if err != nil || f.IsDir() {
			return err
		}
		info, err := f.Info()
		size += info.Size()
		return err
	})
	if err != nil || size < layer || size > layer+layer/2 {
		t.Errorf("%d bytes on disk, %v", size, err)
	}
	if n := y.Src.Count("GET", testbed.Blob); n > 2 {
		t.Errorf("the layer and the config were read in %d requests", n)
	}
}

func TestLayoutsThatCanNotBeAreRefusedBeforeAnythingIsWritten(t *testing.T) {
	y := yard.New(t)
	y.Tagged("team", "v1")
	y.Tagged("team/app", "v1")
	root, old, busy := t.TempDir(), t.TempDir(), t.TempDir()
	if _, _, err := y.Transferred(dray.TransferRequest{Sources: []string{"src/team"}, Target: "oci:" + filepath.Join(old, "team")}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(busy, "notes.txt"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	y.Forget()
	for _, c := range []struct {
		req  dray.TransferRequest
		want string
	}{
		{dray.TransferRequest{Sources: []string{"src"}, Target: "oci:" + old + "/"}, "it would be inside another layout"},
		{dray.TransferRequest{Sources: []string{"src"}, Target: "oci:" + busy + "/"}, "the directory is not empty and holds no image layout"},
		{dray.TransferRequest{Sources: []string{"src"}, Target: "oci:" + root}, "several source repositories cannot be copied into one repository"},
		{dray.TransferRequest{Sources: []string{"src"}, Target: "oci:" + root + ":v1"}, "this names one image"},
		{dray.TransferRequest{Sources: []string{"oci:" + root + "/none/"}, Target: "dst"}, "there is no such directory"},
		{dray.TransferRequest{Sources: []string{"src"}, Target: "oci:" + root + "/", CopyLocks: true, Mapping: plan.Mapping{Flatten: true}}, "only Azure's registries have such locks"},
	} {
		if got, err := y.Planned(c.req); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %s %v", c.want, got, err)
		}
	}
	if names, err := os.ReadDir(root); err != nil || len(names) != 0 {
		t.Errorf("%v %v", names, err)
	}
	root = old
	flat := dray.TransferRequest{Sources: []string{"src"}, Target: "oci:" + root + "/", Mapping: plan.Mapping{Flatten: true}}
	if got, _, err := y.Transferred(flat); strings.Count(got, " done") != 1 || err != nil {
		t.Errorf("%s %v", got, err)
	}
	// Inside an existing layout, and in a directory with other files.
	if _, err := y.Planned(dray.TransferRequest{Sources: []string{"src/team"}, Target: "oci:" + root + "/team-app/inside/"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
	if _, err := y.Planned(dray.TransferRequest{Sources: []string{"oci:" + root + "/team/"}, Target: "dst"}); !fault.Is(err, fault.Invalid) || !strings.HasPrefix(fault.HintOf(err), "leave off the slash at the end") {
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
