package apply

import (
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// carry remembers what the source has under the digest tags of docs. If a target has just that later, the source had
// it, too. The caller holds r.mu.
func (r *Run) carry(from, to ref.Repo, docs []plan.Referrer) {
	for _, doc := range docs {
		if doc.Tag != "" {
			r.carried[to] = append(r.carried[to], ledger.Copied{From: from, Tag: doc.Tag, Digest: doc.Digest})
		}
	}
}

// noteCarried writes down which digest tags the targets have as their sources have them. If it cannot be written to
// disk, a later run keeps what it could replace, and says so.
func (r *Run) noteCarried() {
	for i, s := range r.Plan.Steps {
		state := r.Reports[i].State
		same := state == report.Done || state == report.Unchanged && s.Action == plan.Skip && s.Keeps == ""
		if same && oci.IsDigestTag(s.To.Tag) && s.From.Tag == s.To.Tag && !s.From.Repo.Same(s.To.Repo) {
			r.carry(s.From.Repo, s.To.Repo, []plan.Referrer{{Tag: s.To.Tag, Digest: s.Digest()}})
		}
	}
	for to, all := range r.carried {
		_ = r.session.Base.Carried.Note(to, all)
	}
}
