package plan

import (
	"slices"

	"github.com/drayage/dray/ref"
)

// Repository is what is to be done about one target repository. Its steps are those
// of a plan whose verb is "transfer" and whose hold is Each. A step that is Broken
// and has no tag says why the repository could not be planned.
type Repository struct {
	To    ref.Repo
	From  []ref.Repo // in the order of their names
	Steps []Step
}

// Needs reports whether something is to be done.
func (p Repository) Needs() bool { return slices.ContainsFunc(p.Steps, Step.Works) }
