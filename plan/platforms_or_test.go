package plan_test

import (
	"testing"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// A request that says how to copy some platforms gets those of the configuration.
func TestARequestWithoutPlatformsTakesThoseOfTheConfiguration(t *testing.T) {
	only, err := oci.ParsePlatforms("linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	configured := plan.Platforms{Only: only, Lacks: plan.Optional}
	for name, tt := range map[string]struct{ said, want plan.Platforms }{
		"nothing":  {plan.Platforms{}, configured},
		"sparse":   {plan.Platforms{Form: plan.Sparse}, plan.Platforms{Only: only, Form: plan.Sparse, Lacks: plan.Optional}},
		"optional": {plan.Platforms{Lacks: plan.Optional}, configured},
		"all":      {plan.Platforms{Form: plan.Whole}, plan.Platforms{Form: plan.Whole}},
	} {
		got := tt.said.Or(configured)
		if err := got.Check(); err != nil || len(got.Only) != len(tt.want.Only) || got.Form != tt.want.Form || got.Lacks != tt.want.Lacks {
			t.Errorf("%s: %+v, want %+v (%v)", name, got, tt.want, err)
		}
	}
	if got := (plan.Platforms{Form: plan.Sparse}).Or(plan.Platforms{}); got.Check() == nil {
		t.Errorf("%+v", got)
	}
}
