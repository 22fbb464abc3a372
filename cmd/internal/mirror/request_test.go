package mirror

import (
	"reflect"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

func TestEverySelectionKeyOfARuleHasAnEffect(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	s, err := selection(config.Mirror{
		Include: []string{"a"}, Exclude: []string{"b"}, Letters: "a-c", Ignore: []string{"d"}, MaxRepositories: 1,
		IncludeTags: []string{"e"}, ExcludeTags: []string{"f"}, Semver: ">=1", NewerThan: "2d", Latest: 3, LatestBy: "time", MinTags: 4, Untagged: true, RequireMatch: true,
	}, now)
	if err != nil || !s.Since.Equal(now.Add(-48*time.Hour)) {
		t.Fatalf("%v %v", s.Since, err)
	}
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if foreign := name == "Repository" || name == "Running"; v.Field(i).IsZero() != foreign {
			t.Errorf("%s: %v", name, v.Field(i))
		}
	}
}

func TestARuleSaysWhatItAccepts(t *testing.T) {
	d, err := dray.New(dray.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	rule := config.Mirror{Sources: []string{"a.example"}, Targets: []string{"b.example"}, Images: []string{"c.example/app:v1"}, Strict: true, SkipBroken: true}
	w, err := WorkOf(d, rule, time.Now())
	if err != nil || w.Transfer.Referrers.Mode != plan.ReferrersSync || w.Batch.Referrers.Mode != plan.ReferrersSync {
		t.Errorf("%+v %v", w.Transfer, err)
	}
	rule.Platforms = plan.Platforms{Only: []oci.Platform{{OS: "linux", Architecture: "amd64"}}}
	w, err = WorkOf(d, rule, time.Now())
	if err != nil || !reflect.DeepEqual(w.Transfer.Platforms, rule.Platforms) || !reflect.DeepEqual(w.Batch.Platforms, rule.Platforms) {
		t.Errorf("%+v %v", w.Transfer, err)
	}
	rule.Referrers = plan.Referrers{Mode: plan.ReferrersRequire, Types: []string{"a"}}
	w, err = WorkOf(d, rule, time.Now())
	if err != nil || !reflect.DeepEqual(w.Transfer.Referrers, rule.Referrers) || !reflect.DeepEqual(w.Batch.Referrers, rule.Referrers) {
		t.Errorf("%+v %v", w.Transfer, err)
	}
	if err != nil || !w.Transfer.Strict || !w.Transfer.SkipBroken || !w.Batch.SkipBroken {
		t.Errorf("%+v %v", w.Transfer, err)
	}
}
