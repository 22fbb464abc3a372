package moving

import (
	"bytes"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

func TestAPlanThatWasCutOffIsNoPlan(t *testing.T) {
	var stdout bytes.Buffer
	c := out.Console{Out: &stdout}
	c.Format = out.FormatJSON
	s := c.NewPlanOut(plan.Plan{Verb: "transfer", Overwrite: plan.Update, Hold: plan.Each})
	if err := s.Step(stepOf(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.End(dray.TransferReport{}, out.ErrOver); err != nil {
		t.Fatal(err)
	}
	if _, err := summarize(&stdout); err == nil {
		t.Error("a plan without its end was read")
	}
}

func stepOf(t *testing.T) dray.StepReport {
	t.Helper()
	from, err := ref.Parse("src.example/app:v1@sha256:" + strings.Repeat("ab", 32))
	if err != nil {
		t.Fatal(err)
	}
	to, err := ref.Parse("dst.example/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	return dray.StepReport{Step: plan.Step{Action: plan.Copy, From: from, To: to}}
}
