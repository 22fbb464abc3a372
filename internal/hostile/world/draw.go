package world

import (
	"slices"

	"pgregory.net/rapid"

	"github.com/drayage/dray/plan"
)

// Draw draws a world for one of the works; none means all of them.
func Draw(t *rapid.T, works ...Work) World {
	if len(works) == 0 {
		works = []Work{Copy, Transfer, Import, Tag}
	}
	w := World{
		Work: rapid.SampledFrom(works).Draw(t, "work"),
		Overwrite: rapid.SampledFrom([]plan.Overwrite{plan.Update, plan.Update, plan.Update, plan.Refuse, plan.Always}).
			Draw(t, "overwrite"),
		Referrers: rapid.SampledFrom([]plan.ReferrerMode{
			plan.ReferrersMoving, plan.ReferrersSync, plan.ReferrersRequire, plan.ReferrersNone,
		}).Draw(t, "referrers"),
		Platforms: rapid.IntRange(0, 4).Draw(t, "platforms") == 4,
		Source:    drawSide(t, Bearer, Apart, Basic, Anonymous),
		Target:    drawSide(t, Bearer, Basic),
		Pieces:    rapid.Bool().Draw(t, "pieces"),
		Fresh:     rapid.Bool().Draw(t, "fresh"),
	}
	for range rapid.IntRange(1, 4).Draw(t, "images") {
		w.Images = append(w.Images, drawImage(t))
	}
	for range rapid.IntRange(0, 4).Draw(t, "faults") {
		w.Faults = append(w.Faults, drawFault(t))
	}
	return w.sane()
}

func drawSide(t *rapid.T, logins ...Login) Side {
	return Side{
		Kind:  rapid.SampledFrom([]Kind{Distribution, Sloppy, API}).Draw(t, "kind"),
		Login: rapid.SampledFrom(logins).Draw(t, "login"),
		Away:  rapid.IntRange(0, 3).Draw(t, "away") == 3,
	}
}

func drawImage(t *rapid.T) Image {
	return Image{
		Repo:      rapid.IntRange(0, 1).Draw(t, "repo"),
		Seed:      rapid.Uint64Range(1, 4).Draw(t, "seed"),
		Layers:    rapid.IntRange(1, 3).Draw(t, "layers"),
		Size:      rapid.Int64Range(1, 40_000).Draw(t, "size"),
		Docker:    rapid.Bool().Draw(t, "docker"),
		Platforms: rapid.SampledFrom([]int{0, 0, 2, 3}).Draw(t, "platforms"),
		Nested:    rapid.IntRange(0, 5).Draw(t, "nested") == 5,
		Referrers: rapid.SliceOfN(rapid.IntRange(0, 5), 0, 3).Draw(t, "refers to"),
		Before: rapid.SampledFrom([]Before{Nothing, Nothing, Blobs, Untagged, Elsewhere, Same, Signed, Another}).
			Draw(t, "before"),
	}
}

// sane takes out what does not go together.
func (w World) sane() World {
	if w.Work == Tag { // it knows one registry, no policy and no platforms
		w.Overwrite, w.Platforms, w.Referrers = plan.Update, false, plan.ReferrersNone
	}
	if w.Work == Transfer && w.Source.Login == Anonymous { // it may not list repositories
		w.Source.Login = Bearer
	}
	if w.Overwrite == plan.Refuse && w.Referrers == plan.ReferrersNone && w.Source.Kind != API && w.Target.Kind != API {
		w.Overwrite = plan.Update // dray lists what it puts there, and the list of the source may not replace that list
	}
	for n := range w.Images {
		i := &w.Images[n]
		if w.Platforms {
			i.Nested = false // its part is an index that the model would have to make itself
		}
		if w.Work == Tag && n == 0 && i.Before != Signed {
			i.Before = Same
		}
		if w.Work == Import || w.Work == Tag {
			i.Repo = 0
		}
	}
	if !slices.ContainsFunc(w.Images, func(i Image) bool { return i.Repo == 0 }) {
		w.Images[0].Repo = 0
	}
	return w
}
