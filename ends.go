package dray

import (
	"encoding/json"

	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// End is one end of a transfer as it was read: the repository Repo alone, or, where that is
// zero, all repositories of Host whose path begins with Prefix ("" or "team/").
type End struct {
	Host   string
	Prefix string
	Repo   ref.Repo
}

// TransferEnds returns what Sources and targets of req name, the Target first. Nothing is asked
// of a registry: it is for those who decide whether a request may be made. The error is Invalid.
func (d *Dray) TransferEnds(req TransferRequest) (sources, targets []End, err error) {
	from, to, err := d.newTransferring(req, nil).ends()
	return endsOf(from), endsOf(to), err
}

func endsOf(all []reach) []End {
	ends := make([]End, len(all))
	for i, r := range all {
		ends[i] = End{Host: r.host, Prefix: r.prefix, Repo: r.repo}
	}
	return ends
}

// ImportNames returns the names that PlanImport reads in req. Where several tags are asked for
// they name repositories. The error is Invalid.
func (d *Dray) ImportNames(req ImportRequest) (source ref.Name, targets []ref.Name, err error) {
	n, err := d.importNames(req, asAz)
	return n.source, n.targets, err
}

// UnmarshalJSON reads what MarshalJSON wrote; Err is then of the same Kind and words.
func (s *StepReport) UnmarshalJSON(raw []byte) error {
	type plain StepReport
	in := struct {
		*plain
		Problem *plan.Problem `json:"error"`
	}{plain: (*plain)(s)}
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	if in.Problem != nil {
		s.Err = in.Problem.Err()
	}
	return nil
}

// UnmarshalJSON reads what MarshalJSON wrote; Err is then of the same Kind and words.
func (e *VerifyEntry) UnmarshalJSON(raw []byte) error {
	type plain VerifyEntry
	in := struct {
		*plain
		Problem *plan.Problem `json:"error"`
	}{plain: (*plain)(e)}
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	if in.Problem != nil {
		e.Err = in.Problem.Err()
	}
	return nil
}
