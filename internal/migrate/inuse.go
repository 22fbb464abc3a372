package migrate

import (
	"slices"

	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// trackInUse starts to track the images in use that are at the sources of the request.
func (r *transferring) trackInUse() error {
	if len(r.req.InUse.Images) == 0 {
		return nil
	}
	sources, _, err := r.ends()
	if err != nil {
		return err
	}
	r.running = newRunning()
	for _, n := range r.req.InUse.Images {
		if slices.ContainsFunc(sources, func(s name.End) bool { return s.Host == n.Host }) {
			r.running.images = append(r.running.images, n)
		} else {
			r.running.elsewhere++
		}
	}
	if len(r.running.images) == 0 {
		r.report.Notef("none of the %d images in use is at one of the sources", r.running.elsewhere)
	}
	if n := r.req.InUse.Local; n > 0 {
		r.report.Notef("for %d images in use, only an ID that is local to their node is known: "+
			"dray uses their names where these are given", n)
	}
	return nil
}

func newRunning() *running { return &running{looked: map[ref.Repo]bool{}, found: map[ref.Name]bool{}} }

// trackOwn tracks the images in use that are in the sources of a part.
func (r *transferring) trackOwn(landings []plan.Landing) {
	if len(r.req.InUse.Images) == 0 {
		return
	}
	r.running = newRunning()
	own := reading(landings)
	for _, n := range r.req.InUse.Images {
		if own[n.Repo] {
			r.running.images = append(r.running.images, n)
		}
	}
}

// trackOthers leaves out the images in use that are in the sources of a part, since the part reports them.
func (u *running) trackOthers(landings []plan.Landing) {
	if u != nil {
		own := reading(landings)
		u.images = slices.DeleteFunc(u.images, func(n ref.Name) bool { return own[n.Repo] })
	}
}

// addSurveyed records that a repository was surveyed, and the images that its plan copies.
func (u *running) addSurveyed(from []ref.Repo, steps []plan.Step) {
	if u == nil {
		return
	}
	for _, repo := range from {
		u.looked[repo] = true
	}
	for _, s := range steps {
		if !s.Impossible() {
			u.addCopied(s.From)
		}
	}
}

// addCopied records that an image is at the target, by its tag, its digest or both.
func (u *running) addCopied(n ref.Name) {
	if u == nil {
		return
	}
	u.found[n.Repo.At(n.Digest)] = true
	if n.Tag != "" {
		u.found[n.Repo.Tagged(n.Tag)] = true
	}
}

// end returns the report of images in use, with those that the target lacks.
func (u *running) end() *report.InUse {
	if u == nil {
		return nil
	}
	rep := &report.InUse{Images: len(u.images), Elsewhere: u.elsewhere}
	for _, n := range u.images {
		switch {
		case u.found[n]:
		case !u.looked[n.Repo]:
			rep.Lost = append(rep.Lost, report.Lost{Image: n, Why: "its repository is not selected or does not exist"})
		case n.Tag != "":
			rep.Lost = append(rep.Lost, report.Lost{Image: n, Why: "its tag is not selected or does not exist"})
		default:
			rep.Lost = append(rep.Lost, report.Lost{Image: n, Why: "the source does not have this digest"})
		}
	}
	return rep
}
