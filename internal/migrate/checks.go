package migrate

import (
	"errors"
	"fmt"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

var errNoPlan = errors.New("a plan compares digests only, and cannot tell which content is missing below them")

// checkHeal refuses a request to plan a repair.
func (r *transferring) checkHeal() error {
	if !r.req.Heal {
		return nil
	}
	return &fault.Fault{
		Kind: fault.Invalid,
		Op:   "plan transfer",
		Hint: "leave heal out of the plan; verify finds what is missing, if it looks at the content below tags",
		Err:  errNoPlan,
	}
}

// checkLocking refuses to copy locks between registries that do not support them.
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
	what := "this one is not known to be an Azure registry"
	switch product {
	case "acr":
		return nil
	case "":
	default:
		what = "this one is " + product
	}
	return &fault.Fault{
		Kind: fault.Invalid,
		Side: side,
		Op:   "copy locks",
		Name: repo.Host,
		Hint: "leave the locks out; for an Azure registry with a custom domain, set kind: acr in the configuration",
		Err:  fmt.Errorf("only Azure's registries have such locks: %s", what),
	}
}

var errNotIncremental = errors.New(
	"this request cannot be incremental: it must look at more than the tags that changed")

// checkIncremental refuses rules that need all tags of a repository, not only those that changed.
func (r *transferring) checkIncremental() error {
	q, sel := r.req, r.req.Selection
	if !q.Incremental {
		return nil
	}
	selects := len(sel.IncludeTags)+len(sel.ExcludeTags) > 0 || sel.Versions != (plan.Versions{}) ||
		!sel.Since.IsZero() || sel.Latest > 0 || sel.MinTags > 0 || sel.Untagged || len(q.InUse.Images) > 0
	renames := len(q.Map.Pairs)+len(q.Map.Rename) > 0
	proves := q.Proof != "" && q.Proof != oci.Claimed
	rewrites := q.Overwrite == plan.Always || q.CopyLocks || q.Heal || !q.Platforms.All()
	if !selects && !renames && !proves && !rewrites && len(q.Also) == 0 && q.Explain == nil {
		return nil
	}
	return &fault.Fault{
		Kind: fault.Invalid,
		Op:   "transfer",
		Name: q.Target,
		Hint: "leave incremental out, or keep to one target and to rules and mappings of repositories",
		Err:  errNotIncremental,
	}
}
