package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// trim returns the index that dray makes of an index: it lists these entries, and says what it was made from.
func trim(t *testing.T, whole image, entries ...descriptor) doc {
	t.Helper()
	raw, err := json.Marshal(manifest{
		Version: 2, MediaType: kindIndex, Manifests: entries,
		Annotations: map[string]string{"io.github.drayage.trimmed.from": digestOf(whole.root().raw)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return doc{raw, kindIndex}
}

func TestACopyOfOnePlatformMustBeThatPlatformWholeAndAlone(t *testing.T) {
	whole := index(3, 2, 3000)
	one := whole.only(wantedPlatform)
	if len(one.Docs) != 1 || len(one.Blobs) != 3 { // a config and two layers
		t.Fatalf("%d documents and %d blobs of one platform", len(one.Docs), len(one.Blobs))
	}
	var list manifest
	if err := json.Unmarshal(whole.root().raw, &list); err != nil {
		t.Fatal(err)
	}
	with := func(root doc) image { return image{repo, "v1", append(one.Docs[:1:1], root), one.Blobs} }
	foreign := trim(t, whole, list.Manifests[1])
	foreign.raw = []byte(strings.Replace(string(foreign.raw), digestOf(whole.root().raw), digestOf(nil), 1))
	for name, c := range map[string]struct {
		held  image
		shape shape
		want  string // a part of the error; "" is none
	}{
		"child":                        {one, child, ""},
		"trimmed":                      {with(trim(t, whole, list.Manifests[1])), trimmed, ""},
		"sparse":                       {with(whole.root()), sparse, ""},
		"a child in place of an index": {one, trimmed, "no index"},
		"an index in place of a child": {with(whole.root()), child, "differs"},
		"another platform":             {whole.only(platform{"linux", "amd64"}), child, "differs"},
		"an entry too many":            {with(trim(t, whole, list.Manifests[:2]...)), trimmed, "no index of one image"},
		"the wrong entry":              {with(trim(t, whole, list.Manifests[0])), trimmed, "lists another image"},
		"an unknown origin":            {with(foreign), trimmed, "trimmed from"},
		"all platforms":                {whole, sparse, "was not wanted"},
	} {
		s := newStore(keep)
		s.sparse = true
		if err := put(s, []image{c.held}); err != nil {
			t.Fatal(name, err)
		}
		err := verifyPlatform(s, whole, c.shape)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if err := verifyPlatform(newStore(keep), whole, child); err == nil {
		t.Error("nothing at all passed")
	}
	s := newStore(keep)
	w := do(s, http.MethodPut, "/v2/"+repo+"/manifests/v1", kindIndex, whole.root().raw)
	if w.Code != http.StatusBadRequest {
		t.Errorf("a store that is not sparse answered %d to an index without its images", w.Code)
	}
}

func TestEachToolTakesPartInWhatItCanDo(t *testing.T) {
	names := func(w workload) (all string) {
		for _, tool := range known() {
			if tool.can(w) {
				all += tool.Name + ", "
			}
		}
		return strings.TrimSuffix(all, ", ")
	}
	for _, c := range []struct {
		w    workload
		want string
	}{
		{workload{Verb: copyPlatform}, "dray, dray --sparse, crane, regctl, skopeo, oras"},
		{workload{Verb: copyImage, Wide: true},
			"dray, crane, crane -j32, regctl, regctl 32, skopeo, oras, oras 32"},
		{workload{Verb: copyTags}, "dray, crane, regctl, skopeo"},
		{workload{Verb: toFiles, Wide: true}, "dray, skopeo, skopeo oci, oras, oras 32"},
		{workload{Verb: copyTags, Signed: true, Wide: true}, "dray, regctl, regctl 32"},
	} {
		if got := names(c.w); got != c.want {
			t.Errorf("%+v: %s, want %s", c.w.Verb, got, c.want)
		}
	}
}

func TestNoVariantOfDrayIsComparedWithDrayAsAPeer(t *testing.T) {
	r := result{Rows: []row{
		{Tool: "dray", Peer: "dray", Wall: 2}, {Tool: "dray --sparse", Peer: "dray", Wall: 1}, {Tool: "oras", Peer: "oras", Wall: 4},
	}}
	r.compare()
	if r.Best != "oras" || r.Verdict != "dray wins" {
		t.Errorf("compared with %s: %s", r.Best, r.Verdict)
	}
}

func TestAPeerThatVerifiesNothingIsNotTheOnlyOneDrayIsComparedWith(t *testing.T) {
	r := result{Rows: []row{
		{Tool: "dray", Peer: "dray", Wall: 2}, {Tool: "crane", Peer: "crane", Wall: 3}, {Tool: "oras", Peer: "oras", Trusts: true, Wall: 1},
	}}
	r.compare()
	if r.Verdict != "dray loses" || r.Best != "oras" || r.VerdictVerifying != "dray wins" || r.BestVerifying != "crane" {
		t.Errorf("%+v", r)
	}
	r = result{Rows: []row{{Tool: "dray", Peer: "dray", Wall: 2}, {Tool: "oras", Peer: "oras", Trusts: true, Wall: 3}}}
	if r.compare(); r.Verdict != "dray wins" || r.BestVerifying != "" || !strings.HasPrefix(r.VerdictVerifying, "no peer") {
		t.Errorf("%+v", r)
	}
	for v, want := range map[verb]bool{copyImage: true, toFiles: false, fromFiles: true} {
		oras := known()[slices.IndexFunc(known(), func(t tool) bool { return t.Name == "oras" })]
		if got := summarize(oras, v, []sample{{outcome: outcome{Wall: 1}}}, 1, 1); got.Trusts != want {
			t.Errorf("oras %s: %v", v, got.Trusts)
		}
	}
	r = result{Rows: []row{{Tool: "dray", Peer: "dray", Wall: 2}, {Tool: "crane", Peer: "crane", Wall: 3}}}
	if r.compare(); r.Verdict != "dray wins" || r.VerdictVerifying != "" {
		t.Errorf("%+v", r)
	}
}
