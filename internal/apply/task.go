package apply

import (
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// task is one image and all steps that copy it to some repository.
type task struct {
	from  ref.Repo
	root  oci.Descriptor
	trim  plan.Trim  // what of the image is copied
	of    oci.Digest // the image at the source, if it is trimmed
	to    []*end
	there []ref.Repo // targets of the plan that have the image already
	part  stage
	late  error // the pull limit error that postponed the task
}

// stage says which part of the work a task does.
type stage int

const (
	// contentAndNames copies the content and sets the names.
	contentAndNames stage = iota
	contentOnly           // copies the content only
	namesOnly             // sets the names only, of content that its single end already has
)

// end is one target repository and the steps that set names in it.
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
