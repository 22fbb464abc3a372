package run

import (
	"fmt"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
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

// tail returns what the last line of the run says about them, with the command that completes the first, if there is
// one: a bundle is not changed, and has no more than it has.
func (s sparse) tail(a *app.App) string {
	if s.n == 0 {
		return ""
	}
	from, to := s.first.From, s.first.To
	side, has := "the target", s.first.Trim.Platforms
	if to.Host == ref.Bundle {
		side = "the bundle"
	}
	line := fmt.Sprintf("; %s has only %s of %s", side, has, out.Plural(s.n, "tag"))
	switch {
	case to.Host == ref.Bundle:
		return line
	case from.Host == ref.Bundle:
		return line + ", as the bundle"
	case from.Dir == "-", from.Host == ref.DockerArchive: // it cannot be read again, or has no more
		return line
	}
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
	return fmt.Sprintf("%s; to complete %s: %s", line, what,
		a.NextAt("verify", from.String(), to.String(), "--deep", "--heal"))
}
