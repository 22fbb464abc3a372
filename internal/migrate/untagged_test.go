package migrate_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/beside"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/plan"
)

// looseYard returns a yard with Azure's API at the source, and two manifests there without a tag:
// an index and an image, which it returns. There is also an index with a tag.
func looseYard(t *testing.T) (y *yard.Yard, index, image testbed.Image) {
	t.Helper()
	y, shelf := yard.Azure(t, 2)
	add := func(img testbed.Image, tags ...string) {
		for _, d := range img.Children {
			shelf.Rows = append(shelf.Rows, beside.Row{Digest: d.Digest.String(), MediaType: d.MediaType, Size: 9})
		}
		shelf.Rows = append(shelf.Rows, beside.Row{Digest: img.Digest(), MediaType: img.Root.MediaType, Size: 9, Tags: tags})
	}
	tagged := testbed.Index(t, y.Src, "team/app", "multi", 2)
	index = testbed.Nested(t, y.Src, "team/app", "was", 1)
	image = testbed.Random(t, y.Src, "team/app", "old", testbed.RandomOptions{Seed: 90})
	add(tagged, "multi")
	add(index)
	add(image)
	y.Forget()
	return y, index, image
}

func loosely() dray.TransferRequest {
	return dray.TransferRequest{Sources: []string{"src/team/app"}, Target: "dst", Selection: plan.Selection{Untagged: true}}
}

func TestManifestsWithoutATagGoByDigestAndChildrenOfIndexesDoNotComeTwice(t *testing.T) {
	y, index, image := looseYard(t)
	file := y.Written(loosely())
	if again := y.Written(loosely()); !bytes.Equal(file, again) {
		t.Fatalf("%s\n%s", file, again)
	}
	var at []string
	sum, err := y.Transfer(t.Context(), loosely(), nil, func(r dray.RepositoryReport) error {
		for _, s := range r.Steps {
			if at = append(at, string(s.State)); s.To.Tag == "" {
				at[len(at)-1] += s.From.Digest
			}
		}
		return nil
	})
	got := strings.Join(at, ", ")
	if err != nil || sum.Untagged != 2 || len(at) != 5 || !strings.Contains(got, "done"+index.Digest()) || !strings.Contains(got, "done"+image.Digest()) {
		t.Fatalf("%v %+v\n%s", err, sum, got)
	}
	for _, img := range []testbed.Image{index, image} {
		testbed.Same(t, y.Src, y.Dst, "team/app", img.Digest(), "team/app", img.Digest())
	}
	y.Forget()
	again, sum, err := y.Transferred(loosely())
	if again != "" || err != nil || sum.States[dray.Unchanged] != sum.Untagged+3 || y.Src.Count(http.MethodGet, testbed.Manifest) != 0 || y.Dst.Count(http.MethodPut, "") != 0 {
		t.Errorf("again: %s %v %+v\n%s", again, err, sum, yard.Spent(y.Src))
	}
	if got, _, err := y.FromFile(file, false); strings.Contains(got, "failed") || err != nil {
		t.Errorf("%s %v", got, err)
	}
}

func TestChildrenOfATaggedIndexThatIsNotSelectedAreNotUntagged(t *testing.T) {
	y, _, _ := looseYard(t)
	req := loosely()
	req.Selection.IncludeTags, _ = plan.ParsePatterns("v*")
	got, err := y.Planned(req)
	if err != nil || strings.Count(got, "copy") != 4 {
		t.Errorf("%s %v", got, err)
	}
	req.Selection.Since = beside.Shelved.AddDate(0, 0, 1)
	if got, err := y.Planned(req); got != "" || err != nil {
		t.Errorf("newer: %s %v", got, err)
	}
}

func TestARegistryThatListsTagsOnlyIsNamedWhereUntaggedManifestsAreAskedFor(t *testing.T) {
	y := yard.New(t)
	y.Tagged("team/app", "v1")
	got, sum, err := y.Transferred(loosely())
	if got != "team/app:v1 done" || err != nil || len(sum.Notes) != 1 || !strings.Contains(sum.Notes[0], "lists tags only") {
		t.Errorf("%s %v %q", got, err, sum.Notes)
	}
}

func TestVerifyLooksAtManifestsWithoutATagToo(t *testing.T) {
	y, _, image := looseYard(t)
	if _, _, err := y.Transferred(loosely()); err != nil {
		t.Fatal(err)
	}
	rec, err := y.Verify(t.Context(), dray.VerifyRequest{Of: loosely(), Depth: dray.Deep}, nil, func(dray.VerifyEntry) error { return nil })
	if err != nil || !rec.Right() || rec.Names < 5 {
		t.Fatalf("%+v %v", rec, err)
	}
	y.Dst.Direct(t, http.MethodDelete, "/v2/team/app/manifests/"+image.Digest(), nil, nil, nil)
	rec, err = y.Verify(t.Context(), dray.VerifyRequest{Of: loosely()}, nil, func(dray.VerifyEntry) error { return nil })
	if err != nil || rec.Right() || rec.Matches[dray.Absent] != 1 || rec.Troubles[0].From.Digest != image.Digest() {
		t.Errorf("%+v %v", rec, err)
	}
}

func TestOnlyWhatRunsIsBroughtAndWhatIsLostIsTold(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1", "v2", "v3")
	y.Tagged("web", "v1", "v2")
	y.Tagged("idle", "v1")
	gone := testbed.Random(t, y.Src, "app", "moving", testbed.RandomOptions{Seed: 70}) // in use, but its tag has moved
	testbed.Random(t, y.Src, "app", "moving", testbed.RandomOptions{Seed: 71})
	at := func(repo, tag string) string {
		return y.Src.Host + "/" + repo + "@" + testbed.CraneDigest(t, y.Src, repo, tag)
	}
	never := "sha256:" + strings.Repeat("ab", 32)
	file := strings.Join([]string{at("app", "v1"), y.Src.Host + "/app@" + gone.Digest(), y.Src.Host + "/app@" + never, y.Src.Host + "/web:v2", y.Src.Host + "/web:v9",
		y.Src.Host + "/other:v1", "quay.io/x/y:1", "docker://" + never}, "\n")
	used, err := plan.ParseInUse([]byte(file))
	if err != nil || used.Local != 1 {
		t.Fatal(err)
	}
	req := yard.Whole()
	req.InUse = used
	y.Forget()
	got, sum, err := y.Transferred(req)
	if got != "app: done, app:v1 done, web:v2 done" || err != nil || sum.Untagged != 1 {
		t.Fatalf("%s %v", got, err)
	}
	testbed.Same(t, y.Src, y.Dst, "app", gone.Digest(), "app", gone.Digest())
	var lost []string
	for _, l := range sum.InUse.Lost {
		lost = append(lost, strings.TrimPrefix(l.String(), y.Src.Host+"/"))
	}
	want := []string{"app@" + never + ": the source does not have this digest", "other:v1: its repository is not selected or does not exist", "web:v9: its tag is not selected or does not exist"}
	if strings.Join(lost, "\n") != strings.Join(want, "\n") || sum.InUse.Images != 6 || sum.InUse.Elsewhere != 1 {
		t.Errorf("%+v\n%s", sum.InUse, strings.Join(lost, "\n"))
	}
	if got, _, err := y.Transferred(req); got != "" || err != nil {
		t.Errorf("again: %s %v", got, err)
	}
	rec, err := y.Verify(t.Context(), dray.VerifyRequest{Of: req}, nil, func(dray.VerifyEntry) error { return nil })
	if err != nil || rec.Right() || len(rec.InUse.Lost) != 3 || rec.Matches[dray.Same] != 3 {
		t.Errorf("%+v %v", rec, err)
	}
	// Rules about repositories still apply.
	req.Selection.ExcludeRepositories, _ = plan.ParsePatterns("web")
	if got, sum, err := y.Transferred(req); got != "" || err != nil || len(sum.InUse.Lost) != 4 {
		t.Errorf("%s %v %+v", got, err, sum.InUse)
	}
	req.Target = "dst/x/"
	req.Selection = plan.Selection{}
	req.Also = []string{"dst/y/"}
	if got, _, err := y.Transferred(req); strings.Count(got, "done") != 6 || err != nil {
		t.Errorf("%s %v", got, err)
	}
}

func TestImagesInUseElsewhereSelectNothing(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1")
	req := yard.Whole()
	req.InUse, _ = plan.ParseInUse([]byte("elsewhere.io/a:1"))
	got, sum, err := y.Transferred(req)
	if got != "" || err != nil || len(sum.Notes) != 1 || !strings.Contains(sum.Notes[0], "none of the 1 images in use is at one of the sources") {
		t.Errorf("%s %v %q", got, err, sum.Notes)
	}
}
