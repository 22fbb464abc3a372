package trim

import (
	"slices"
	"sync"

	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// part is what is known of one image.
type part struct {
	trim  plan.Trim
	lacks []oci.Platform // what was asked for, and it does not have
	has   []oci.Platform // what it is for; only what was read in this run has it
	none  bool           // it is for other platforms only, and may be left out

	believed bool // a target says so
}

func (p *part) lack(lacks []oci.Platform) {
	if p.lacks = lacks; len(lacks) > 0 {
		p.trim.Lacks = oci.PlatformsString(lacks)
	}
}

// recalled is what earlier runs found out about the images of some repositories, and what this run adds. It
// knows nothing of sparse indexes.
type recalled struct {
	asked  []oci.Platform
	before map[ref.Repo]map[oci.Digest]ledger.Trim

	mu   sync.Mutex
	news map[ref.Repo]map[oci.Digest]ledger.Trim
}

// recall reads what earlier runs found out about the repositories of names.
func recall(s *place.Session, want plan.Platforms, names map[oci.Digest][]ref.Name) *recalled {
	r := &recalled{
		asked:  want.Only,
		before: map[ref.Repo]map[oci.Digest]ledger.Trim{},
		news:   map[ref.Repo]map[oci.Digest]ledger.Trim{},
	}
	if want.Form == plan.Sparse {
		return r
	}
	for _, all := range names {
		if repo := all[0].Repo; r.before[repo] == nil {
			r.before[repo] = s.Base.Trims.Of(repo, oci.PlatformsString(r.asked))
			r.news[repo] = map[oci.Digest]ledger.Trim{}
		}
	}
	return r
}

// of returns what earlier runs found out about one image.
func (r *recalled) of(repo ref.Repo, d oci.Digest) (part, bool) {
	was, known := r.before[repo][d]
	found, err := oci.ParsePlatforms(was.Found)
	if !known || err != nil {
		return part{}, false
	}
	p := part{trim: plan.Trim{Digest: was.Digest, Size: was.Size}}
	if was.Digest != "" {
		p.trim.Platforms = was.Found
	}
	p.lack(without(r.asked, found))
	return p, true
}

// learn adds what was found out about one image, unless only a target says it. An image that has none of the
// platforms is looked at again in each run.
func (r *recalled) learn(repo ref.Repo, d oci.Digest, p part) {
	if _, known := r.before[repo][d]; known || p.none || p.believed || r.news[repo] == nil {
		return
	}
	found := without(r.asked, p.lacks)
	if len(found) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.news[repo][d] = ledger.Trim{Digest: p.trim.Digest, Size: p.trim.Size, Found: oci.PlatformsString(found)}
}

// without returns the platforms of all that are not in some.
func without(all, some []oci.Platform) []oci.Platform {
	var rest []oci.Platform
	for _, a := range all {
		if !slices.ContainsFunc(some, func(b oci.Platform) bool { return oci.PlatformString(&a) == oci.PlatformString(&b) }) {
			rest = append(rest, a)
		}
	}
	return rest
}

// note stores what was learned. If that fails, the next run finds it out again.
func (r *recalled) note(s *place.Session) {
	for repo, news := range r.news {
		_ = s.Base.Trims.Note(repo, oci.PlatformsString(r.asked), news)
	}
}
