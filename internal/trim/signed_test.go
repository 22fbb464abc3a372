package trim_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// noted returns the notes of a copy.
func noted(t *testing.T, y *yard.Yard, req dray.CopyRequest) []string {
	t.Helper()
	p, err := y.Dray.PlanCopy(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	notes := slices.Clone(p.Notes)
	var mu sync.Mutex
	watch := func(e event.Event) {
		mu.Lock()
		defer mu.Unlock()
		notes = append(notes, e.Text)
	}
	if _, err := y.Dray.Apply(t.Context(), p, watch); err != nil {
		t.Error(err)
	}
	return slices.DeleteFunc(notes, func(n string) bool { return n == "" })
}

// The target has an index that says of itself that it is what is wanted, and is something else.
func TestARunThatTrustsNoTargetRepairsAnIndexWhoseAnnotationIsNotTrue(t *testing.T) {
	for _, mode := range []plan.ReferrerMode{plan.ReferrersSync, plan.ReferrersMoving} {
		y := yard.New(t)
		y.Run(t.TempDir())
		yard.Attested(t, y.Src, "app", "v1", 3)
		y.Must(copied(t, y, only(t, "linux/amd64")))
		want := y.Raw(y.Dst, "app", "v1", oci.TypeIndex)
		forged := bytes.Replace(want, []byte(`"schemaVersion":2`), []byte(`"schemaVersion":2 `), 1)
		if bytes.Equal(forged, want) {
			t.Fatal("nothing was forged")
		}
		y.Run(t.TempDir())
		y.Dst.Manifest(t, "app", "v1", oci.TypeIndex, forged)
		req := dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}, Platforms: only(t, "linux/amd64"),
			Referrers: plan.Referrers{Mode: mode}}
		if mode != plan.ReferrersSync { // a copy believes it, and the next one that trusts no target does not
			if got := yard.States(y.Must(y.Copy(req))); got != "app:v1 unchanged" {
				t.Error(got)
			}
			req.Overwrite = plan.Always
		}
		if got := yard.States(y.Must(y.Copy(req))); got != "app:v1 done" || !bytes.Equal(y.Raw(y.Dst, "app", "v1", oci.TypeIndex), want) {
			t.Errorf("%s: %s", mode, got)
		}
	}
}

func TestADigestTagOfAWholeIndexStaysBehindWithIt(t *testing.T) {
	y := yard.New(t)
	m := yard.Attested(t, y.Src, "app", "v1", 3)
	tag := oci.FallbackTag(m.Root.Digest) + ".sig"
	testbed.Artifact(t, y.Src, "app", tag, oci.Descriptor{})
	req := dray.TransferRequest{Sources: []string{"src/app"}, Target: "dst/app", Platforms: only(t, "linux/amd64")}
	got, sum, err := y.Transferred(req)
	if got != "app:v1 done" || err != nil || !strings.Contains(strings.Join(sum.Notes, "\n"), "1 digest tag of a whole index stays behind") {
		t.Errorf("%s %v %q", got, err, sum.Notes)
	}
	y.Verifies("", dray.VerifyRequest{Of: req, Depth: dray.Deep})
	notes := strings.Join(noted(t, y, dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v2"},
		Platforms: req.Platforms, Referrers: plan.Referrers{Mode: plan.ReferrersRequire}}), "\n")
	want := "what refers to the whole index " + y.Src.Host + "/app@" + m.Digest() +
		" stays behind (1), because the target gets only linux/amd64: " + tag
	if !strings.Contains(notes, want) {
		t.Errorf("%s\nwant %s", notes, want)
	}
}

func TestATypeThatChoosesNothingIsNotedWithTheTypesThatThereAre(t *testing.T) {
	y := yard.New(t)
	m := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	testbed.Artifact(t, y.Src, "app", "", m.Root)
	req := dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"},
		Referrers: plan.Referrers{Mode: plan.ReferrersRequire, Types: []string{"application/typo"}}}
	want := "1 document refers to " + y.Src.Host + "/app@" + m.Digest() +
		", and none of them is chosen by its type or annotation; the types are " + testbed.ArtifactType
	if notes := noted(t, y, req); !slices.Contains(notes, want) {
		t.Errorf("%q\nwant %s", notes, want)
	}
	req.Targets, req.Referrers.Types = []string{"dst/app:v2"}, []string{testbed.ArtifactType}
	if notes := noted(t, y, req); slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, "none of them") }) {
		t.Errorf("%q", notes)
	}
}

func TestASparseIndexIsRefusedForAnArchiveBeforeAnythingMoves(t *testing.T) {
	y := yard.New(t)
	yard.Attested(t, y.Src, "app", "v1", 3)
	dir := filepath.Join(t.TempDir(), "x.tar")
	rep, err := y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"oci-archive:" + dir}, Platforms: sparse(t, "linux/arm64")})
	if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "holds whole images only") || len(rep.Steps) != 1 {
		t.Errorf("%v", err)
	}
	if left, _ := filepath.Glob(dir + "*"); left != nil {
		t.Errorf("%q", left)
	}
}

// A signature never goes without its image: not that of an image that is left out, nor that of a part that is.
func TestADigestTagStaysBehindWithItsImage(t *testing.T) {
	y := yard.New(t)
	m := yard.Attested(t, y.Src, "app", "v1", 3)
	want := map[string]bool{}
	for i, d := range append(m.Children[:3:3], m.Root) {
		tag := oci.FallbackTag(d.Digest) + ".sig"
		testbed.Artifact(t, y.Src, "app", tag, oci.Descriptor{})
		want[tag] = i < 3 && d.Platform.Architecture == "amd64"
	}
	for _, tc := range []struct {
		repo, platform string
		lacks          plan.Lacks
		note           string
		kind           fault.Kind
	}{
		{"part", "linux/amd64", plan.Required, "2 digest tags stay behind with their images", ""},
		{"optional", "linux/s390x", plan.Optional, "4 digest tags stay behind with their images", ""},
		{"required", "linux/s390x", plan.Required, "4 digest tags stay behind with their images", fault.NotFound},
	} {
		platforms := only(t, tc.platform)
		platforms.Lacks = tc.lacks
		req := dray.TransferRequest{Sources: []string{"src/app"}, Target: "dst/" + tc.repo, Platforms: platforms}
		got, sum, err := y.Transferred(req)
		if fault.KindOf(err) != tc.kind || !strings.Contains(strings.Join(sum.Notes, "\n"), tc.note) {
			t.Errorf("%s: %v, %s, %q", tc.repo, err, got, sum.Notes)
		}
		for tag, there := range want {
			there = there && tc.repo == "part"
			if has := strings.Contains(got, tag); has != there {
				t.Errorf("%s: %s is copied: %t, want %t: %s", tc.repo, tag, has, there, got)
			}
		}
		all := dray.CopyRequest{Source: "src/app", Targets: []string{"dst/all-" + tc.repo}, Tags: dray.AllTags,
			Platforms: platforms}
		p, err := y.Dray.PlanCopy(t.Context(), all, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range p.Steps {
			if there := want[s.From.Tag] && tc.repo == "part"; oci.IsDigestTag(s.From.Tag) && s.Moves() != there {
				t.Errorf("%s: %+v", tc.repo, s)
			}
		}
	}
}
