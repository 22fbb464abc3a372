package plan_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

func platformsOf(t *testing.T, words ...string) []oci.Platform {
	t.Helper()
	all, err := oci.ParsePlatforms(words...)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The target is compared with what the step brings there, and not with what the source has.
func TestATrimmedImageIsComparedByTheDigestThatTheTargetGets(t *testing.T) {
	trims := plan.Trims{digestOf("a"): {Digest: digestOf("e"), Size: 5, Platforms: "linux/amd64", Lacks: "linux/s390x"}}
	to := func(n ref.Name) []ref.Name { return []ref.Name{ref.Repo{Host: "b.example", Path: "app"}.Tagged(n.Tag)} }
	for _, c := range []struct {
		there string
		ow    plan.Overwrite
		want  plan.Action
	}{
		{"", plan.Update, plan.Copy}, {"e", plan.Update, plan.Skip}, {"a", plan.Update, plan.Replace},
		{"a", plan.Refuse, plan.Conflict}, {"e", plan.Refuse, plan.Skip}, {"e", plan.Always, plan.Replace},
	} {
		dst := plan.Inventory{}
		if c.there != "" {
			dst[to(ref.Name{Tag: "v1"})[0]] = oci.Descriptor{Digest: digestOf(c.there)}
		}
		steps, err := plan.Make(t.Context(), inventoryOf(t, "a.example/app:v1=a"), dst, plan.Rules{Overwrite: c.ow, Trims: trims, Targets: to})
		if err != nil || len(steps) != 1 {
			t.Fatal(steps, err)
		}
		s := steps[0]
		if s.Action != c.want || s.Digest() != digestOf("e") || s.Origin() != digestOf("a") || s.Root().Size != 5 {
			t.Errorf("%+v: %+v", c, s)
		}
		if line := s.Describe(); !strings.Contains(line, "(only linux/amd64; it has no linux/s390x)") {
			t.Error(line)
		}
		var file bytes.Buffer
		p := plan.Plan{Verb: "copy", Overwrite: c.ow, Steps: steps,
			Platforms: plan.Platforms{Only: platformsOf(t, "linux/amd64"), Lacks: plan.Optional}}
		if err := p.Write(&file); err != nil {
			t.Fatal(err)
		}
		if got, err := plan.Read(&file); err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("%+v, %v", got.Steps, err)
		}
		again := s.Anew(digestOf("c"), digestOf("e"), plan.Update, plan.Trims{digestOf("c"): {Digest: digestOf("e"), Platforms: "linux/amd64"}})
		if again.Action != plan.Skip || again.Origin() != digestOf("c") {
			t.Errorf("%+v", again)
		}
	}
}

func TestAPlanFileWithAMeaninglessTrimIsRefused(t *testing.T) {
	const head = `{"plan":1,"verb":"copy","overwrite":"update","platforms":{"only":["linux/amd64"]}}`
	for _, trim := range []string{
		`{"digest":"sha256:x","platforms":"linux/amd64"}`, `{"digest":"` + string(digestOf("a")) + `"}`, `{"platforms":"linux/amd64"}`,
		`{"form":"sparse"}`, `{"form":"odd","platforms":"linux/amd64"}`, `{"form":"sparse","platforms":"amd64"}`,
		`{"digest":"` + string(digestOf("a")) + `","platforms":"linux/amd64","form":"sparse"}`,
		`{"digest":"` + string(digestOf("a")) + `","platforms":"linux/amd64","size":-1}`,
	} {
		file := head + "\n" +
			`{"action":"copy","from":"a.example/app:v1@` + string(digestOf("a")) + `","to":"b.example/app:v1","size":1,"trim":` + trim + "}\n" + plan.End + "\n"
		if _, err := plan.Read(strings.NewReader(file)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", trim, err)
		}
	}
	file := head + "\n" +
		`{"action":"copy","from":"a.example/app:v1@` + string(digestOf("a")) + `","to":"b.example/app:v1","size":1,"trim":{"form":"sparse","platforms":"linux/amd64"}}` + "\n" + plan.End + "\n"
	if _, err := plan.Read(strings.NewReader(file)); err != nil {
		t.Error(err)
	}
}

func TestPlatformsThatDoNotFitEachOtherAreRefused(t *testing.T) {
	amd := platformsOf(t, "linux/amd64")
	for _, p := range []plan.Platforms{{Form: plan.Sparse}, {Lacks: plan.Optional}, {Only: amd, Form: "x"}, {Only: amd, Lacks: "x"}} {
		if err := p.Check(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", p, err)
		}
	}
	for _, p := range []plan.Platforms{{}, {Only: amd, Form: plan.Sparse, Lacks: plan.Optional}, {Form: plan.Whole}} {
		var again plan.Platforms
		raw, err := json.Marshal(p)
		if err == nil {
			err = json.Unmarshal(raw, &again)
		}
		if err := cmp.Or(err, p.Check()); err != nil || !reflect.DeepEqual(again, p) {
			t.Errorf("%+v: %v\n%s\n%+v", p, err, raw, again)
		}
	}
	standard := plan.Platforms{Only: amd}
	if all := (plan.Platforms{Form: plan.Whole}); all.Or(standard).Form != plan.Whole || (plan.Platforms{}).Or(standard).All() {
		t.Error("a configured choice replaces what a request says, or not what it does not say")
	}
	for _, bad := range []string{`{"only":["amd64"]}`, `{"sparse":true}`, `{"some":1}`, `[]`} {
		if err := json.Unmarshal([]byte(bad), new(plan.Platforms)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
