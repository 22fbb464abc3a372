package run

import (
	"fmt"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/plan"
)

// sparse counts the names whose index lists images that the target did not get.
type sparse struct {
	n     int
	first dray.StepReport
}

func (s *sparse) add(r dray.StepReport) {
	if r.Trim.Form != plan.Sparse || r.State != dray.Done && r.State != dray.Unchanged {
		return
	}
	if s.n++; s.n == 1 {
		s.first = r
	}
}

// tail returns what the last line of the run says about them, with the command that completes the first.
func (s sparse) tail(a *app.App) string {
	if s.n == 0 {
		return ""
	}
	from, to := s.first.From, s.first.To
	if from.Tag != "" {
		from.Digest = ""
	}
	if to.Tag == "" {
		to.Digest = string(s.first.Digest())
	}
	what := "it"
	if s.n > 1 {
		what = "the first"
	}
	has := s.first.Trim.Platforms
	return fmt.Sprintf("; the target has only %s of %s; to complete %s: %s", has, out.Plural(s.n, "tag"), what,
		a.NextAt("verify", from.String(), to.String(), "--deep", "--heal"))
}
