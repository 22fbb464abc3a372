package mirroring

import (
	"fmt"
	"sync"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/mirror"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/plan"
)

// mirrored is the answer of dray mirror --once.
type mirrored struct {
	Verb   string          `json:"verb"`
	File   string          `json:"file"`
	DryRun bool            `json:"dryRun,omitempty"`
	Rules  []mirror.Result `json:"rules"` // in the order of the file
	Took   time.Duration   `json:"tookNanoseconds"`
}

// ruleTeller writes on stdout what the runs of rules do, one repository at a time. After stop it writes
// nothing more, so that a run that did not return after an interrupt does not disturb the output.
type ruleTeller struct {
	app    *app.App
	dryRun bool
	say    func(string)

	mu   sync.Mutex
	out  out.Steps
	over bool
}

func newRuleTeller(a *app.App, dryRun bool, say func(string)) *ruleTeller {
	t := &ruleTeller{app: a, dryRun: dryRun, say: say, out: out.NoSteps{}}
	switch {
	case a.Format == out.FormatJSON:
	case dryRun:
		t.out = a.NewPlanOut(plan.Plan{Verb: "mirror"})
	default:
		t.out = a.NewReportOut()
	}
	return t
}

func (t *ruleTeller) steps(r dray.RepositoryReport) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return out.ErrOver
	}
	own := r.Tags()
	for _, s := range r.Steps {
		if !t.dryRun && !own(s) {
			continue // a digest tag is counted with what refers to images
		}
		if err := t.out.Step(s); err != nil {
			return err
		}
	}
	return t.out.Flush()
}

// gates returns the gate of a rule; nil if it has none. The configuration is read again for each run, as the
// file of the rules is.
func (t *ruleTeller) gates(rule config.Mirror) (gate.Gate, error) {
	file, err := t.app.LoadConfig()
	if err != nil {
		return nil, err
	}
	return t.app.NamedGate(file, rule.Gate, fmt.Sprintf("%s (line %d)", rule.Name, rule.Line))
}

func (t *ruleTeller) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
}

// end prints the end of the answer of --once.
func (t *ruleTeller) end(all mirrored) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	if t.app.Format == out.FormatJSON {
		return t.app.PrintJSON(all)
	}
	return t.out.End(dray.TransferReport{}, nil)
}
