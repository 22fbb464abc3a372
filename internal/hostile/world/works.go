package world

import (
	"context"
	"fmt"

	"github.com/drayage/dray"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// Outcome is what dray says about a run.
type Outcome struct {
	Err     error
	Steps   []dray.StepReport
	Traffic map[string]dray.Traffic // nil if the run ended before it had a report
}

// repository is the path of one of the two repositories at the source.
func repository(n int) string { return []string{"team/app", "team/web"}[n] }

// CopyRequest is the request of a world whose work is Copy.
func (w World) CopyRequest() dray.CopyRequest {
	return dray.CopyRequest{Source: "src/" + repository(0), Targets: []string{"dst/" + repository(0)}, Tags: dray.AllTags,
		Overwrite: w.Overwrite, Referrers: w.chosen(), Platforms: w.only()}
}

// TransferRequest is the request of a world whose work is Transfer.
func (w World) TransferRequest() (dray.TransferRequest, error) {
	left, err := plan.ParsePatterns(Left)
	return dray.TransferRequest{Sources: []string{"src/team/"}, Target: "dst",
		Mapping:   plan.Mapping{StripPrefix: "team", AddPrefix: "mirror"},
		Selection: plan.Selection{ExcludeTags: left},
		Overwrite: w.Overwrite, Referrers: w.chosen(), Platforms: w.only()}, err
}

// ImportRequest is the request of a world whose work is Import.
func (w World) ImportRequest() dray.ImportRequest {
	req := dray.ImportRequest{Source: "src/" + repository(0) + ":v0", Target: "dst", Overwrite: w.Overwrite,
		Referrers: w.chosen(), Platforms: w.only()}
	for n := range w.Images {
		req.Images = append(req.Images, w.importName(n))
	}
	return req
}

// TagRequest is the request of a world whose work is Tag.
func (w World) TagRequest() dray.TagRequest {
	req := dray.TagRequest{Image: "dst/" + repository(0) + ":v0", Tags: []string{"new"}}
	for n := range w.Images[1:] {
		req.Tags = append(req.Tags, fmt.Sprint("v", n+1))
	}
	return req
}

// importName is the name that the nth image stands for, in a world that imports the first one only.
func (w World) importName(n int) string {
	return []string{repository(0) + ":v0", repository(0) + ":latest", "new/app:v1", repository(1) + ":v0"}[n]
}

func (w World) chosen() plan.Referrers { return plan.Referrers{Mode: w.Referrers} }

func (w World) only() plan.Platforms {
	if !w.Platforms {
		return plan.Platforms{}
	}
	return plan.Platforms{Only: []oci.Platform{platforms()[0]}}
}

// Do does the work once.
func (w World) Do(ctx context.Context, d *dray.Dray) (out Outcome) {
	var p *dray.Prepared
	switch w.Work {
	case Transfer:
		req, err := w.TransferRequest()
		if err != nil {
			return Outcome{Err: err}
		}
		rep, err := d.Transfer(ctx, req, nil, func(r dray.RepositoryReport) error {
			out.Steps = append(out.Steps, r.Steps...)
			return nil
		})
		out.Err, out.Traffic = err, rep.Traffic
		return out
	case Import:
		p, out.Err = d.PlanImport(ctx, w.ImportRequest(), nil)
	case Tag:
		p, out.Err = d.PlanTag(ctx, w.TagRequest(), nil)
	default:
		p, out.Err = d.PlanCopy(ctx, w.CopyRequest(), nil)
	}
	if out.Err != nil {
		return out
	}
	rep, err := d.Apply(ctx, p, nil)
	return Outcome{err, rep.Steps, rep.Traffic}
}
