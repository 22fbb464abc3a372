package referrers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/conform"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/referrers"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// source is a repository in memory whose lists of referrers are those of list, if it is not nil.
type source struct {
	*conform.Memory
	list func(oci.Descriptor) ([]oci.Descriptor, error)
}

func (s source) Referrers(ctx context.Context, d oci.Descriptor) ([]oci.Descriptor, error) {
	if s.list != nil {
		return s.list(d)
	}
	return s.Memory.Referrers(ctx, d)
}

func inMemory() source {
	return source{Memory: conform.New(ref.Repo{Host: ref.Layout, Dir: "memory"})}
}

// finder returns a Finder, and the notes that it makes.
func finder(choice plan.Referrers) (*referrers.Finder, *[]string) {
	var notes []string
	s := (&place.Base{}).Begin(nil, nil, func(e event.Event) {
		if e.Kind == event.Noted {
			notes = append(notes, e.Text)
		}
	})
	return referrers.New(s, choice), &notes
}

// about stores an artifact whose subject is d, or an artifact without a subject.
func (s source) about(d oci.Descriptor, n int) oci.Descriptor {
	subject := ""
	if d.Digest != "" {
		subject = fmt.Sprintf(`,"subject":{"mediaType":%q,"digest":%q,"size":%d}`, d.MediaType, d.Digest, d.Size)
	}
	config := oci.Sum([]byte("{}"))
	return s.PreloadDocument(fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"artifactType":"a/b","config":`+
		`{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},"layers":[],"annotations":{"n":"%d"}%s}`,
		oci.TypeManifest, config, n, subject)).Descriptor
}

// index stores an index of children.
func (s source) index(children ...oci.Descriptor) oci.Descriptor {
	var all []string
	for _, c := range children {
		all = append(all, fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, c.MediaType, c.Digest, c.Size))
	}
	return s.PreloadDocument(fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`,
		oci.TypeIndex, strings.Join(all, ","))).Descriptor
}

// digests returns the digests of each level.
func digests(levels [][]plan.Referrer) (all [][]oci.Digest) {
	for _, level := range levels {
		var of []oci.Digest
		for _, r := range level {
			of = append(of, r.Digest)
		}
		all = append(all, of)
	}
	return all
}

func TestReferrersOfReferrersComeFirst(t *testing.T) {
	s := inMemory()
	child := s.about(oci.Descriptor{}, 0)
	root := s.index(child)
	sbom := s.about(child, 1)
	signature := s.about(sbom, 2)
	f, _ := finder(plan.Referrers{})
	levels, err := f.Of(t.Context(), s, root)
	if want := [][]oci.Digest{{signature.Digest}, {sbom.Digest}}; err != nil || fmt.Sprint(digests(levels)) != fmt.Sprint(want) {
		t.Errorf("%v %v, want %v", digests(levels), err, want)
	}
}

func TestDocumentsMayNestSixteenLevelsDeep(t *testing.T) {
	for _, kind := range []string{"indexes", "referrers"} {
		s := inMemory()
		root, at := oci.Descriptor{}, s.about(oci.Descriptor{}, 0)
		if kind == "referrers" {
			root = at
		}
		for n := 1; n <= referrers.MaxNesting; n++ { // root has MaxNesting documents below it in the last round
			f, _ := finder(plan.Referrers{})
			if kind == "referrers" {
				at = s.about(at, n)
			} else {
				at = s.index(at)
				root = at
			}
			_, err := f.Of(t.Context(), s, root)
			if deep := n == referrers.MaxNesting; deep != fault.Is(err, fault.TooLarge) || !deep && err != nil {
				t.Errorf("%s, %d levels below the image: %v", kind, n, err)
			}
		}
	}
}

func TestAnImageAndItsChildrenTogetherHaveAtMost10000Referrers(t *testing.T) {
	for _, n := range []int{5000, 5001} {
		s := inMemory()
		root := s.index(s.about(oci.Descriptor{}, 0))
		about := map[oci.Digest]string{root.Digest: "index", s.about(oci.Descriptor{}, 0).Digest: "child"}
		s.list = func(d oci.Descriptor) (all []oci.Descriptor, err error) {
			for i := range n {
				if of := about[d.Digest]; of != "" {
					all = append(all, oci.Descriptor{MediaType: oci.TypeManifest, Digest: oci.Sum([]byte(of + strconv.Itoa(i))), Size: 9})
				}
			}
			return all, nil
		}
		f, _ := finder(plan.Referrers{})
		levels, err := f.Of(t.Context(), s, root)
		switch found := len(slices.Concat(levels...)); {
		case n == 5000 && (err != nil || found != 10_000):
			t.Errorf("%d: %v", found, err)
		case n > 5000 && (!fault.Is(err, fault.TooLarge) || fault.HintOf(err) != "choose some with --referrer-type"):
			t.Errorf("%d: %v", found, err)
		}
	}
}

func TestASourceThatRefusesToListReferrersIsNotedOnceForARepository(t *testing.T) {
	s := inMemory()
	s.list = func(d oci.Descriptor) ([]oci.Descriptor, error) {
		return nil, &fault.Fault{Kind: fault.Denied, Op: "list referrers of", Name: "memory@" + string(d.Digest), Err: errors.New("no right")}
	}
	one, two := s.about(oci.Descriptor{}, 1), s.about(oci.Descriptor{}, 2)
	f, notes := finder(plan.Referrers{})
	for _, d := range []oci.Descriptor{one, two} {
		if levels, err := f.Of(t.Context(), s, d); err != nil || len(levels) != 0 {
			t.Errorf("%v %v", levels, err)
		}
	}
	if len(*notes) != 1 || !strings.Contains((*notes)[0], "so signatures may be left behind: no right") {
		t.Errorf("%q", *notes)
	}
	f, notes = finder(plan.Referrers{Mode: plan.ReferrersRequire})
	if _, err := f.Of(t.Context(), s, one); !fault.Is(err, fault.Denied) || len(*notes) != 0 {
		t.Errorf("required: %v %q", err, *notes)
	}
}

func TestAReferrerThatTheSourceListsAndDoesNotHaveIsNotChosen(t *testing.T) {
	s := inMemory()
	root := s.about(oci.Descriptor{}, 0)
	there, gone := s.about(root, 1), s.about(root, 2)
	listed := []oci.Descriptor{there, gone}
	s.list = func(d oci.Descriptor) ([]oci.Descriptor, error) {
		if d.Digest == root.Digest {
			return listed, nil
		}
		return nil, nil
	}
	s.Drop(gone.Digest)
	f, notes := finder(plan.Referrers{Types: []string{"a/b"}})
	levels, err := f.Of(t.Context(), s, root)
	if want := [][]oci.Digest{{there.Digest}}; err != nil || fmt.Sprint(digests(levels)) != fmt.Sprint(want) {
		t.Errorf("%v %v, want %v", digests(levels), err, want)
	}
	if len(*notes) != 1 || !strings.Contains((*notes)[0], "lists a referrer that it does not have") || !strings.Contains((*notes)[0], string(gone.Digest)) {
		t.Errorf("%q", *notes)
	}
}

// regclient's testrepo has a loop of referrers, and entries of lists that it does not have.
func TestALoopOfReferrersEnds(t *testing.T) {
	f, _ := finder(plan.Referrers{})
	at, err := f.Source(t.Context(), ref.Repo{Host: ref.Layout, Dir: testbed.RegclientRepo(t)})
	if err != nil {
		t.Fatal(err)
	}
	some := 0
	if err := at.List(t.Context(), func(l oci.Listed) error {
		d, err := at.Resolve(t.Context(), l.Tag)
		if err != nil {
			return err
		}
		levels, err := f.Of(t.Context(), at, d)
		seen := map[string]bool{string(d.Digest): true}
		for _, r := range slices.Concat(levels...) {
			if seen[string(r.Digest)+r.Tag] {
				t.Errorf("%s: %s is there twice, or is the image", l.Tag, r.Digest)
			}
			seen[string(r.Digest)+r.Tag], some = true, some+1
		}
		return err
	}); err != nil || some == 0 {
		t.Errorf("%d: %v", some, err)
	}
	// A loop of two artifacts, which only lists that lie can say.
	s := inMemory()
	root := s.about(oci.Descriptor{}, 0)
	a, b := s.about(oci.Descriptor{}, 1), s.about(oci.Descriptor{}, 2)
	next := map[oci.Digest]oci.Descriptor{root.Digest: a, a.Digest: b, b.Digest: a}
	s.list = func(d oci.Descriptor) ([]oci.Descriptor, error) { return []oci.Descriptor{next[d.Digest]}, nil }
	levels, err := f.Of(t.Context(), s, root)
	if all := slices.Concat(levels...); err != nil || len(all) != 2 {
		t.Errorf("%v %v", levels, err)
	}
}
