package apply_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/report"
)

// payload is what cosign signs. All signatures of an image in a repository have the same: the annotations of
// the layers differ.
const payload = `{"critical":{}}`

// signs puts a manifest as cosign makes it under a digest tag, with a layer for each signature.
func signs(t *testing.T, r *testbed.Registry, repo, tag string, signatures ...string) oci.Digest {
	t.Helper()
	layer := r.Blob(t, repo, "application/vnd.dev.cosign.simplesigning.v1+json", []byte(payload))
	doc := map[string]any{"schemaVersion": 2, "mediaType": oci.TypeManifest,
		"config": r.Blob(t, repo, "application/vnd.oci.image.config.v1+json", []byte(`{}`))}
	var layers []oci.Descriptor
	for _, s := range signatures {
		one := layer
		one.Annotations = map[string]string{"dev.cosignproject.cosign/signature": s}
		layers = append(layers, one)
	}
	doc["layers"] = layers
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return r.Manifest(t, repo, tag, oci.TypeManifest, raw).Digest
}

// resigned is a signed image that was copied, and that the target then has under other signatures.
type resigned struct {
	*yard.Yard
	tag   string
	image oci.Digest
	copy  dray.CopyRequest
}

func newResigned(t *testing.T, source, target []string) *resigned {
	t.Helper()
	y := &resigned{Yard: signedYard(t)}
	y.image = testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{}).Root.Digest
	testbed.Random(t, y.Dst, "app", "v1", testbed.RandomOptions{})
	y.tag = oci.FallbackTag(y.image) + ".sig"
	signs(t, y.Src, "app", y.tag, source...)
	signs(t, y.Dst, "app", y.tag, target...)
	y.copy = dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"},
		Referrers: plan.Referrers{Mode: plan.ReferrersSync}}
	return y
}

// has says what the target has under the digest tag.
func (y *resigned) has() string { return testbed.CraneDigest(y.T, y.Dst, "app", y.tag) }

// verified says how the names at the target compare, and what is noted.
func (y *resigned) verified(choice plan.Referrers, heal bool) (string, dray.Receipt) {
	y.T.Helper()
	req := dray.TransferRequest{Sources: []string{"src/app:v1"}, Target: "dst/app:v1", Referrers: choice}
	got, r, err := y.Verified(dray.VerifyRequest{Of: req, Depth: dray.Deep, Heal: heal})
	if err != nil {
		y.T.Errorf("verify: %v", err)
	}
	return got, r
}

func (y *resigned) transferred(ow plan.Overwrite) dray.TransferReport {
	y.T.Helper()
	got, sum, err := y.Transferred(dray.TransferRequest{Sources: []string{"src/app"}, Target: "dst/app", Overwrite: ow})
	if err != nil {
		y.T.Errorf("%s %v", got, err)
	}
	return sum
}

// The receiver signs what it got. No run takes that signature away from it, and no run has to say anything.
func TestASignatureOfTheTargetBesideThatOfTheSourceStays(t *testing.T) {
	y := newResigned(t, []string{"ours"}, []string{"ours", "theirs"})
	was := y.has()
	for _, mode := range []plan.ReferrerMode{plan.ReferrersSync, plan.ReferrersRequire} {
		y.copy.Referrers.Mode = mode
		rep := y.Must(y.Copy(y.copy))
		if got := rep.Steps[0].Referrers; got.Missing() || got.Copied != 0 {
			t.Errorf("%s: %+v", mode, got)
		}
	}
	y.copy.Targets = []string{"dst/app:v2"}
	if rep := y.Must(y.Copy(y.copy)); rep.Steps[0].Referrers.Missing() {
		t.Errorf("%+v", rep.Steps[0].Referrers)
	}
	if sum := y.transferred(""); sum.Retagged != 0 || sum.Referrers.Missing() {
		t.Errorf("%+v", sum)
	}
	for _, heal := range []bool{false, true} {
		if got, r := y.verified(plan.Referrers{Mode: plan.ReferrersRequire}, heal); got != "" || len(r.Notes) != 0 {
			t.Errorf("%s %q", got, r.Notes)
		}
	}
	if got := y.has(); got != was {
		t.Errorf("the digest tag moved from %s to %s", was, got)
	}
}

// The source has all that the target has, and more: nothing is lost.
func TestASignatureThatTheSourceAddsArrives(t *testing.T) {
	y := newResigned(t, []string{"ours", "later"}, []string{"ours"})
	want := testbed.CraneDigest(t, y.Src, "app", y.tag)
	was := y.has()
	y.copy.Overwrite, y.copy.Referrers.Mode, y.copy.Targets = plan.Refuse, "", []string{"dst/app:v2"}
	rep := y.Must(y.Copy(y.copy))
	if got := rep.Steps[0].Referrers; got.Kept != 1 || got.Lost[0].Hint != "to replace it, use --overwrite update" || y.has() != was {
		t.Errorf("refused: %+v", got)
	}
	y.copy.Overwrite, y.copy.Referrers.Mode, y.copy.Targets = "", plan.ReferrersSync, []string{"dst/app:v1"}
	rep = y.Must(y.Copy(y.copy))
	if got := rep.Steps[0].Referrers; got.Copied != 1 || y.has() != want {
		t.Errorf("%+v %s", got, y.has())
	}
	signs(t, y.Dst, "app", y.tag, "ours")
	if sum := y.transferred(""); sum.Retagged != 1 || y.has() != want {
		t.Errorf("%+v %s", sum, y.has())
	}
	signs(t, y.Dst, "app", y.tag, "ours")
	if got, _ := y.verified(plan.Referrers{}, false); !strings.Contains(got, "incomplete") {
		t.Errorf("%s", got)
	}
	if got, _ := y.verified(plan.Referrers{}, true); got != "app:v1 same healed" || y.has() != want {
		t.Errorf("%s %s", got, y.has())
	}
}

// Each has a signature that the other lacks. That of the target stays, each run says so, and --overwrite always
// replaces it.
func TestADigestTagOfWhichSomethingWouldBeLostStaysAndIsNamed(t *testing.T) {
	y := newResigned(t, []string{"ours"}, []string{"theirs"})
	was, want := y.has(), testbed.CraneDigest(t, y.Src, "app", y.tag)
	kept := func(r report.Referrers) {
		t.Helper()
		if r.Kept != 1 || r.Refused != 0 || len(r.Lost) != 1 || string(r.Lost[0].Has) != was ||
			r.Lost[0].To.Tag != y.tag || !strings.Contains(r.Lost[0].Hint, "to replace it, use ") ||
			!strings.HasSuffix(r.Lost[0].String(), "it is "+was+", the source is "+want) {
			t.Errorf("%+v", r)
		}
		if got := y.has(); got != was {
			t.Errorf("the digest tag moved to %s", got)
		}
	}
	kept(y.Must(y.Copy(y.copy)).Referrers())
	y.copy.Targets, y.copy.Referrers = []string{"dst/app:v2"}, plan.Referrers{}
	kept(y.Must(y.Copy(y.copy)).Referrers())
	y.copy.Targets, y.copy.Overwrite = []string{"dst/app:v3"}, plan.Refuse
	kept(y.Must(y.Copy(y.copy)).Referrers())
	kept(y.transferred("").Referrers)
	kept(y.transferred(plan.Refuse).Referrers)
	all := y.copy
	all.Source, all.Targets, all.Tags, all.Overwrite = "src/app", []string{"dst/app"}, dray.AllTags, ""
	kept(y.Must(y.Copy(all)).Referrers())
	for _, heal := range []bool{false, true} {
		got, r := y.verified(plan.Referrers{}, heal)
		if got != "" || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "the target keeps other content under a digest tag: ") {
			t.Errorf("verify: %s %q", got, r.Notes)
		}
	}
	whole := dray.VerifyRequest{Of: dray.TransferRequest{Sources: []string{"src/app"}, Target: "dst/app"}}
	if r := y.Verifies("", whole); len(r.Notes) != 1 {
		t.Errorf("%q", r.Notes)
	}

	// What is required has not arrived.
	must := plan.Referrers{Mode: plan.ReferrersRequire}
	y.copy.Targets, y.copy.Referrers, y.copy.Overwrite = []string{"dst/app:v4"}, must, ""
	rep, err := y.Copy(y.copy)
	if !fault.Is(err, fault.Refused) || !rep.Steps[0].Arrived {
		t.Errorf("required: %v %+v", err, rep.Steps)
	}
	kept(rep.Referrers())
	if got, _ := y.verified(must, false); !strings.Contains(got, "untagged") && !strings.Contains(got, "incomplete") {
		t.Errorf("verify with what is required: %s", got)
	}

	y.Dst.Reset()
	y.copy.Targets, y.copy.Referrers, y.copy.Overwrite = []string{"dst/app:v5"}, plan.Referrers{}, plan.Always
	if rep := y.Must(y.Copy(y.copy)); rep.Referrers().Copied != 1 || y.has() != want {
		t.Errorf("%+v %s", rep.Referrers(), y.has())
	}
	signs(t, y.Dst, "app", y.tag, "theirs")
	if sum := y.transferred(plan.Always); sum.Retagged != 1 || y.has() != want || y.Dst.Count(http.MethodPut, testbed.Manifest) == 0 {
		t.Errorf("%+v %s", sum, y.has())
	}
}

// A plan shows what it leaves as it is.
func TestAPlanNamesTheDigestTagsThatATargetKeeps(t *testing.T) {
	y := newResigned(t, []string{"ours"}, []string{"theirs"})
	y.copy.Targets = []string{"dst/app:v2"}
	p, err := y.Dray.PlanCopy(t.Context(), y.copy, nil)
	if err == nil {
		err = y.Dray.FindReferrers(t.Context(), p)
	}
	if err != nil {
		t.Fatal(err)
	}
	if text := p.Plan.String(); !strings.Contains(text, "\n  keep    "+y.Dst.Host+"/app:"+y.tag) {
		t.Errorf("%s", text)
	}
	req := dray.TransferRequest{Sources: []string{"src/app"}, Target: "dst/app"}
	got, sum, err := y.FromFile(y.Written(req), false)
	if err != nil || strings.Contains(got, "done") || sum.Referrers.Kept != 1 {
		t.Errorf("%s %v %+v", got, err, sum)
	}
	if text := string(y.Written(req)); !strings.Contains(text, `"keeps":"other"`) {
		t.Errorf("%s", text)
	}
}

// Nobody made at the target what dray put there: it follows the source. What somebody made there stays.
func TestADigestTagThatDrayPutFollowsTheSource(t *testing.T) {
	for _, mode := range []plan.ReferrerMode{plan.ReferrersSync, plan.ReferrersMoving} {
		y := newResigned(t, []string{"monday"}, []string{"monday"})
		y.Run(t.TempDir())
		y.copy.Referrers.Mode = mode
		run := func() report.Referrers {
			if mode == plan.ReferrersSync {
				return y.Must(y.Copy(y.copy)).Referrers()
			}
			return y.transferred("").Referrers
		}
		run()
		tuesday := signs(t, y.Src, "app", y.tag, "tuesday")
		if got, _ := y.verified(plan.Referrers{}, false); !strings.Contains(got, "incomplete") {
			t.Errorf("%s: %s", mode, got)
		}
		if got := run(); got.Copied != 1 || got.Kept != 0 || y.has() != string(tuesday) {
			t.Errorf("%s: %+v, %s", mode, got, y.has())
		}
		theirs := signs(t, y.Dst, "app", y.tag, "tuesday", "theirs")
		signs(t, y.Src, "app", y.tag, "wednesday")
		if got := run(); got.Kept != 1 || y.has() != string(theirs) {
			t.Errorf("%s: %+v, %s", mode, got, y.has())
		}
		y.Run("")
		signs(t, y.Dst, "app", y.tag, "tuesday")
		if got := run(); got.Kept != 1 {
			t.Errorf("%s without a state directory: %+v", mode, got)
		}
	}
}
