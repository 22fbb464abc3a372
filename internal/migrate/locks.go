package migrate

import (
	"fmt"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// checkLocking refuses to copy locks from or to registries that have none.
func (r *transferring) checkLocking(landings []plan.Landing) error {
	if !r.req.CopyLocks {
		return nil
	}
	for _, l := range landings {
		for _, from := range l.From {
			if err := r.locks(fault.Source, from); err != nil {
				return err
			}
		}
		if err := r.locks(fault.Target, l.To); err != nil {
			return err
		}
	}
	return nil
}

func (r *transferring) locks(side fault.Side, repo ref.Repo) error {
	product := "a layout"
	if !repo.IsLayout() {
		product = r.Base.Remote.Traits(repo.Host).Product
	}
	what := "it is not known to be one"
	switch product {
	case "acr":
		return nil
	case "":
	default:
		what = "it is " + product
	}
	return &fault.Fault{Kind: fault.Invalid, Side: side, Op: "copy locks", Name: repo.Host, Err: fmt.Errorf("only Azure's registries have such locks: %s", what),
		Hint: "leave the locks out, or where it is one under a name of its own, set kind: acr for it in the configuration"}
}
