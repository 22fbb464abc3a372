package world

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/plan"
)

// wish is a name that the target should have.
type wish struct {
	repo, tag string
	*document
	before Before          // what the target has of it before, or under its name
	parts  []v1.Descriptor // what is in the index that the target gets, if it is another than the document; else nil
}

func (w wish) name() string { return w.repo + ":" + w.tag }

// is reports whether the target has what is wished under the name.
func (w wish) is(h http.Handler, now digest.Digest) bool {
	if w.parts == nil {
		return now == w.Digest
	}
	if now == w.Digest || now == "" {
		return false
	}
	s, _, ok := read(h, w.repo, now.String())
	return ok && s.MediaType == w.MediaType && slices.EqualFunc(s.Manifests, w.parts, func(a, b v1.Descriptor) bool {
		return a.Digest == b.Digest && a.MediaType == b.MediaType && a.Size == b.Size &&
			a.Platform.Architecture == b.Platform.Architecture
	})
}

// model is what should be at the target after a run without trouble.
type model struct {
	wishes   map[string]wish
	referred map[string][]attached // by repository of the target: what must arrive
	travels  map[string][]attached // by repository of the target: what may arrive
}

// expect derives the model from the world. around is what refers to the images of the source, by repository.
func (w World) expect(roots []*document, around map[string][]attached) model {
	m := model{map[string]wish{}, map[string][]attached{}, map[string][]attached{}}
	for n, i := range w.Images {
		tag := fmt.Sprint("v", n)
		switch w.Work {
		case Copy:
			if i.Repo == 0 {
				m.add(w, wish{repo: repository(0), tag: tag, document: roots[n], before: i.Before})
			}
		case Transfer:
			if tag != Left {
				m.add(w, wish{repo: landing(i.Repo), tag: tag, document: roots[n], before: i.Before})
			}
		case Import:
			repo, tag, _ := strings.Cut(w.importName(n), ":")
			m.add(w, wish{repo: repo, tag: tag, document: roots[0], before: i.Before})
		case Tag:
			m.add(w, wish{repo: repository(0), tag: tag, document: roots[0], before: i.Before})
		}
	}
	if w.Work == Tag {
		m.add(w, wish{repo: repository(0), tag: "new", document: roots[0], before: Nothing})
	}
	if w.Referrers == plan.ReferrersNone && w.Source.Kind != API && (w.Work == Copy || w.Work == Transfer) {
		m.addLists(w, around)
	}
	return m
}

func landing(n int) string { return strings.Replace(repository(n), "team/", "mirror/", 1) }

// add adds a name. If platforms are chosen, an index loses the others.
func (m model) add(w World, n wish) {
	if w.Platforms && len(n.children) > 1 && n.children[0].Platform != nil {
		n.parts = []v1.Descriptor{n.children[0].Descriptor}
	}
	m.wishes[n.name()] = n
}

// addLists adds the referrers tags of the source, which are tags like others if no referrers travel.
func (m model) addLists(w World, around map[string][]attached) {
	for n := range 2 {
		repo := repository(n)
		if w.Work == Copy && n > 0 {
			break
		}
		if w.Work == Transfer {
			repo = landing(n)
		}
		for subject, l := range lists(around[repository(n)]) {
			m.add(w, wish{repo: repo, tag: fallback(subject), document: l})
		}
	}
}

// attach notes what travels with each name. moves says whether a name does not have what is wished.
func (m model) attach(w World, around map[string][]attached, moves func(wish) bool) {
	for _, name := range slices.Sorted(maps.Keys(m.wishes)) {
		m.attachTo(w, m.wishes[name], around, moves(m.wishes[name]))
	}
}

func (m model) attachTo(w World, n wish, around map[string][]attached, moves bool) {
	if w.Referrers == plan.ReferrersNone {
		return
	}
	from := repository(0)
	if n.repo == landing(1) {
		from = repository(1)
	}
	with := map[digest.Digest]bool{}
	for _, d := range n.all() {
		with[d.Digest] = true
	}
	if n.parts != nil {
		clear(with)
		with[n.parts[0].Digest] = true
	}
	for range around[from] { // a referrer may come before the one that it refers to
		for _, a := range around[from] {
			if !with[a.to.Digest] || with[a.Digest] {
				continue
			}
			for _, d := range a.all() {
				with[d.Digest] = true
			}
			m.travels[n.repo] = append(m.travels[n.repo], a)
			if moves || w.Overwrite == plan.Always || w.Referrers != plan.ReferrersMoving {
				m.referred[n.repo] = append(m.referred[n.repo], a)
			}
		}
	}
}

// configs reports whether a blob is the config of an image.
func (m model) configs(name string) bool {
	for _, n := range m.wishes {
		for _, d := range n.all() {
			if len(d.blobs) > 0 && d.blobs[0].Digest.String() == name {
				return true
			}
		}
	}
	return false
}
