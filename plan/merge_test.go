package plan_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

func digestOf(c string) oci.Digest { return oci.Digest("sha256:" + strings.Repeat(c, 64)) }

// inventoryOf reads words such as "HOST/REPO:TAG=a"; digestOf makes a digest of the letter a.
func inventoryOf(t *testing.T, words string) plan.Inventory {
	t.Helper()
	inv := plan.Inventory{}
	for w := range strings.FieldsSeq(words) {
		name, c, _ := strings.Cut(w, "=")
		n, err := ref.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		inv[n] = oci.Descriptor{Digest: digestOf(c), MediaType: "application/vnd.oci.image.manifest.v1+json", Size: 7}
	}
	return inv
}

func TestMergePlansNameByName(t *testing.T) {
	to, err := ref.NewRepo("t.example", "app")
	if err != nil {
		t.Fatal(err)
	}
	first := func(host string) func(ref.Repo) int {
		return func(r ref.Repo) int {
			if r.Host == host {
				return 0
			}
			return 1
		}
	}
	for _, c := range []struct {
		name, src, dst, want string
		m                    plan.Merge
	}{
		{"sources that agree are one", "a.example/app:v1=a b.example/app:v1=a", "", "copy a.example v1", plan.Merge{}},
		{"sources that differ are a conflict of that name", "a.example/app:v1=a b.example/app:v1=b b.example/app:v2=c", "", "copy b.example v2, broken a.example v1", plan.Merge{}},
		{"rank decides", "a.example/app:v1=a b.example/app:v1=b", "t.example/app:v1=a", "replace b.example v1", plan.Merge{Rank: first("b.example")}},
		{"the best in rank may agree with what is there", "a.example/app:v1=a b.example/app:v1=b", "t.example/app:v1=a", "skip a.example v1", plan.Merge{Rank: first("a.example")}},
		{"two tags of one source on one name", "a.example/app:v1=a a.example/app:v2=b", "", "broken a.example x", plan.Merge{Rank: first("a.example"),
			Tags: plan.TagMap{Pairs: []plan.Pair{{From: "v1", To: "x"}, {From: "v2", To: "x"}}}}},
		{"a map that makes no tag", "a.example/app:v1=a a.example/app:2=b", "", "copy a.example 2, broken a.example ", plan.Merge{
			Tags: plan.TagMap{Rename: substitution(t, "s/^v/:/")}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := inventoryOf(t, c.src)
			l := plan.Landing{To: to}
			for n := range src {
				l.From = append(l.From, n.Repo)
			}
			c.m.Verb, c.m.Overwrite = "transfer", plan.Update
			steps, err := l.Merge(t.Context(), src, inventoryOf(t, c.dst), c.m)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range steps {
				got = append(got, fmt.Sprintf("%s %s %s", s.Action, s.From.Host, s.To.Tag))
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func substitution(t *testing.T, text string) plan.Renames {
	t.Helper()
	s, err := plan.ParseSubstitution(text)
	if err != nil {
		t.Fatal(err)
	}
	return plan.Renames{s}
}

func TestAStepIsPlannedAnewForWhatIsThereNow(t *testing.T) {
	src := inventoryOf(t, "a.example/app:v1=a")
	steps, err := plan.Make(t.Context(), src, nil, plan.Rules{Overwrite: plan.Update, Targets: func(n ref.Name) []ref.Name {
		return []ref.Name{{Repo: ref.Repo{Host: "t.example", Path: "app"}, Tag: n.Tag}}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, to string
		ow       plan.Overwrite
		want     plan.Action
		size     int64
	}{
		{"a", "b", plan.Update, plan.Replace, 7}, {"b", "", plan.Update, plan.Copy, 0}, {"b", "b", plan.Update, plan.Skip, 0},
		{"b", "c", plan.Refuse, plan.Conflict, 0}, {"a", "a", plan.Always, plan.Replace, 7},
	} {
		have := oci.Digest("")
		if c.to != "" {
			have = digestOf(c.to)
		}
		s := steps[0].Anew(digestOf(c.from), have, c.ow, nil)
		if s.Action != c.want || s.Digest() != digestOf(c.from) || s.Size != c.size || s.Replaces != have {
			t.Errorf("%+v: %+v", c, s)
		}
		if s.Retags() != (c.want == plan.Replace && c.to != c.from) || s.Moves() != (c.want == plan.Replace || c.want == plan.Copy) {
			t.Errorf("%+v: moves %v, re-tags %v", c, s.Moves(), s.Retags())
		}
	}
}

func TestAPlanIsReadAndWrittenByTheStep(t *testing.T) {
	p := plan.Plan{Verb: "transfer", Overwrite: plan.Update, Hold: plan.Each, Notes: []string{"<a>"}}
	steps, err := plan.Make(t.Context(), inventoryOf(t, "a.example/app:v1=a a.example/app:v2=b"), nil, plan.Rules{Overwrite: plan.Update, Targets: func(n ref.Name) []ref.Name {
		return []ref.Name{{Repo: ref.Repo{Host: "t.example", Path: "app"}, Tag: n.Tag}}
	}})
	if err != nil {
		t.Fatal(err)
	}
	var whole, stream bytes.Buffer
	w, err := plan.NewWriter(&stream, p)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if err := w.Step(s); err != nil {
			t.Fatal(err)
		}
	}
	p.Steps = steps
	if err := errors.Join(w.Close(), p.Write(&whole)); err != nil {
		t.Fatal(err)
	}
	if whole.String() != stream.String() {
		t.Errorf("%s\n%s", &whole, &stream)
	}
	r, err := plan.NewReader(&stream)
	if err != nil || r.Header().Verb != "transfer" || len(r.Header().Steps) != 0 {
		t.Fatalf("%+v %v", r, err)
	}
	for i := range steps {
		if s, err := r.Next(); err != nil || !reflect.DeepEqual(s, steps[i]) {
			t.Errorf("%+v %v", s, err)
		}
	}
	for range 2 {
		if _, err := r.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("after the end: %v", err)
		}
	}
	cut := whole.Bytes()[:whole.Len()-len(plan.End+"\n")-3]
	if r, err = plan.NewReader(bytes.NewReader(cut)); err != nil {
		t.Fatal(err)
	}
	if _, err = r.Next(); err == nil {
		_, err = r.Next()
	}
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("%v", err)
	}
}
