package apply

import (
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// task is one image and all steps that bring it somewhere.
type task struct {
	from ref.Repo
	root oci.Descriptor
	to   []*end
	part stage
	late error // why it has to be done again later: the pulls of its source are spent
}

// stage says which part of its work a task does.
type stage int

const (
	whole    stage = iota
	bringing       // content only
	naming         // names only, of content that its one end holds
)

// end is one repository and the steps that name it.
type end struct {
	repo  ref.Repo
	steps []int
}

func (t *task) add(repo ref.Repo, step int) {
	for _, e := range t.to {
		if e.repo == repo {
			e.steps = append(e.steps, step)
			return
		}
	}
	t.to = append(t.to, &end{repo: repo, steps: []int{step}})
}
