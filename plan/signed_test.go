package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// listed returns a tag of the image of, set at a time.
func listed(tag string, of oci.Digest, at time.Time) oci.Listed {
	l := oci.Listed{Tag: tag}
	l.Descriptor.Digest, l.Updated = of, at
	return l
}

// tagsOf returns the names of tags.
func tagsOf(all []oci.Listed) string {
	var names []string
	for _, t := range all {
		names = append(names, strings.Replace(t.Tag, strings.Repeat("0", 63), "…", 1))
	}
	return strings.Join(names, " ")
}

func TestADigestTagIsNoTagOfItsOwn(t *testing.T) {
	digest := func(last string) oci.Digest { return oci.Digest("sha256:" + strings.Repeat("0", 63) + last) }
	sign := func(d oci.Digest) string { return oci.FallbackTag(d) + ".sig" }
	old, today := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	all := []oci.Listed{
		listed("v1", digest("1"), old), listed(sign(digest("1")), digest("a"), today),
		listed("v2", digest("2"), today), listed(sign(digest("2")), digest("b"), today),
	}
	kept, _, err := plan.Selection{Since: today.Add(-time.Hour)}.Tags(t.Context(), "app", all)
	if got := tagsOf(kept); got != "sha256-…2.sig v2" || err != nil {
		t.Errorf("newer than: %s, %v", got, err)
	}
	kept, _, err = plan.Selection{Latest: 1, Order: plan.ByTime}.Tags(t.Context(), "app", all)
	if got := tagsOf(kept); got != "v2" || err != nil {
		t.Errorf("latest: %s, %v", got, err)
	}
	_, _, err = plan.Selection{MinTags: 3}.Tags(t.Context(), "app", all)
	if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "2 of 2 tags are left") {
		t.Errorf("at least 3: %v", err)
	}
	if _, _, err = (plan.Selection{MinTags: 2}).Tags(t.Context(), "app", all); err != nil {
		t.Errorf("at least 2: %v", err)
	}
	renames, err := plan.ParseRenames([]string{"s/^(.*)$/$1-prod/"})
	if err != nil {
		t.Fatal(err)
	}
	m := plan.TagMap{Rename: renames}
	for tag, want := range map[string]string{sign(digest("1")): sign(digest("1")), "v1": "v1-prod"} {
		if got, err := m.Targets(tag); err != nil || got[0] != want {
			t.Errorf("renamed: %q, %v", got, err)
		}
	}
}
