package plan

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

func TestAPlanFileKeepsTheReferrersAndTheirChoice(t *testing.T) {
	image, signature := oci.Sum([]byte("image")), oci.Sum([]byte("signature"))
	repo := ref.Repo{Host: "r.example", Path: "app"}
	p := Plan{
		Verb: "copy", Overwrite: Update, Hold: Each,
		Referrers: Referrers{Mode: ReferrersRequire, Types: []string{"application/spdx+json"},
			Annotations: map[string]string{"env": "prod"}},
		Steps: []Step{{Action: Copy, From: repo.At(string(image)), To: ref.Repo{Host: "t.example", Path: "app"}.Tagged("v1"),
			Referrers: []Referrer{{Subject: image, Digest: signature, Size: 7, MediaType: oci.TypeManifest,
				Tag: "sha256-" + image.Encoded() + ".sig", Annotations: map[string]string{"env": "prod"}}}}},
	}
	var file bytes.Buffer
	if err := p.Write(&file); err != nil {
		t.Fatal(err)
	}
	got, err := Read(bytes.NewReader(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, p) {
		t.Errorf("the file says %+v, want %+v", got, p)
	}
	for old, bad := range map[string]string{
		`"mode":"require"`:                        `"mode":"some"`,
		`"size":7`:                                `"size":-7`,
		`"digest":"` + string(signature) + `"`:    `"digest":"sha256:12"`,
		`"tag":"sha256-` + image.Encoded() + `.s`: `"tag":".s`,
	} {
		text := strings.Replace(file.String(), old, bad, 1)
		if text == file.String() {
			t.Fatalf("the file does not have %s:\n%s", old, text)
		}
		if _, err := Read(strings.NewReader(text)); !fault.Is(err, fault.Invalid) {
			t.Errorf("with %s: %v", bad, err)
		}
	}
}

func TestAModeOfReferrersIsReadAndAnUnknownOneIsRefused(t *testing.T) {
	for text, want := range map[string]ReferrerMode{
		`"true"`: ReferrersMoving, `""`: ReferrersMoving, `"moving"`: ReferrersMoving, `"false"`: ReferrersNone,
		`"sync"`: ReferrersSync, `"require"`: ReferrersRequire,
	} {
		var got ReferrerMode
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
	var got ReferrerMode
	if err := json.Unmarshal([]byte(`"all"`), &got); !fault.Is(err, fault.Invalid) {
		t.Errorf("all: %v", err)
	}
}

func TestAChoiceOfReferrersThatChoosesNothingIsRefused(t *testing.T) {
	for _, bad := range []Referrers{
		{Mode: "all"},
		{Types: []string{"a/b", ""}},
		{Annotations: map[string]string{"": "x"}},
		{Mode: ReferrersNone, Types: []string{"a/b"}},
		{Mode: ReferrersNone, Annotations: map[string]string{"a": "b"}},
	} {
		if err := bad.Check(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	for _, good := range []Referrers{{}, {Mode: ReferrersNone}, {Mode: ReferrersSync, Types: []string{"a/b"}}} {
		if err := good.Check(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
}

func TestAReferrerIsChosenByAnyTypeAndAllAnnotations(t *testing.T) {
	r := Referrers{Types: []string{"a/b", "c/d"}, Annotations: map[string]string{"env": "prod", "empty": ""}}
	all := map[string]string{"env": "prod", "empty": "", "other": "x"}
	for _, tt := range []struct {
		types []string
		notes map[string]string
		want  bool
	}{
		{[]string{"x/y", "c/d"}, all, true},
		{[]string{"x/y"}, all, false},
		{nil, all, false},
		{[]string{"a/b"}, map[string]string{"env": "prod"}, false},
		{[]string{"a/b"}, map[string]string{"env": "test", "empty": ""}, false},
	} {
		if got := r.Chooses(tt.types, tt.notes); got != tt.want {
			t.Errorf("%v %v: %v", tt.types, tt.notes, got)
		}
	}
	if !(Referrers{}).Chooses(nil, nil) {
		t.Error("the zero value leaves something out")
	}
}

func TestWhatAChoiceLeavesOpenComesFromTheDefault(t *testing.T) {
	types := []string{"a"}
	for name, tt := range map[string]struct{ r, d, want Referrers }{
		"nothing is chosen":               {Referrers{}, Referrers{Mode: ReferrersRequire, Types: types}, Referrers{Mode: ReferrersRequire, Types: types}},
		"a mode alone keeps the types":    {Referrers{Mode: ReferrersSync}, Referrers{Mode: ReferrersNone, Types: types}, Referrers{Mode: ReferrersSync, Types: types}},
		"types alone keep the mode":       {Referrers{Types: types}, Referrers{Mode: ReferrersSync, Types: []string{"b"}}, Referrers{Mode: ReferrersSync, Types: types}},
		"where nothing travels, no types": {Referrers{Mode: ReferrersNone}, Referrers{Mode: ReferrersSync, Types: types}, Referrers{Mode: ReferrersNone}},
		"types, and nothing travels":      {Referrers{Types: types}, Referrers{Mode: ReferrersNone}, Referrers{Types: types}},
	} {
		if got := tt.r.Or(tt.d); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}
