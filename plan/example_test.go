package plan_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// mustName reads a name that is known to be valid.
func mustName(s string) ref.Name {
	n, err := ref.Parse(s)
	if err != nil {
		panic(err)
	}
	return n
}

// Compare what a source and a target have.
func ExampleMake() {
	one, two := oci.Descriptor{Digest: oci.Sum([]byte("1")), Size: 1}, oci.Descriptor{Digest: oci.Sum([]byte("2")), Size: 1}
	source := plan.Inventory{
		mustName("dev.example/app:v1"): one,
		mustName("dev.example/app:v2"): two,
	}
	target := plan.Inventory{
		mustName("prod.example/app:v1"): one,
	}
	steps, err := plan.Make(context.Background(), source, target, plan.Rules{
		Overwrite: plan.Update,
		Targets: func(from ref.Name) []ref.Name {
			return []ref.Name{{Repo: ref.Repo{Host: "prod.example", Path: from.Path}, Tag: from.Tag}}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, step := range steps {
		fmt.Println(step.Action, step.To)
	}
	// Output:
	// skip prod.example/app:v1
	// copy prod.example/app:v2
}

// Select tags by rules that people write, and see why each tag is kept or dropped.
func ExampleWords_Selection() {
	words := plan.Words{IncludeTags: []string{"v*"}, Versions: ">=1.2 <2"}
	selection, err := words.Selection(time.Now())
	if err != nil {
		fmt.Println(err)
		return
	}
	kept, why, err := selection.Tags(context.Background(), "app", []oci.Listed{{Tag: "v1.1.0"}, {Tag: "v1.2.5"}, {Tag: "nightly"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range kept {
		fmt.Println(t.Tag)
	}
	fmt.Print(why)
	// Output:
	// v1.2.5
	// app: 3 found, 2 left after include, 1 left after versions
	//   drop  nightly  no include pattern matches it
	//   drop  v1.1.0   versions >=1.2 <2: not in the range
	//   keep  v1.2.5   versions >=1.2 <2: in the range
}

func ExampleMapping_Repo() {
	m := plan.Mapping{StripPrefix: "team", Template: "mirror/{host}/{repository}"}
	to, err := m.Repo("prod.example", mustName("dev.example/team/app").Repo)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(to)
	// Output: prod.example/mirror/dev.example/app
}

func ExampleTagMap_Targets() {
	rename, err := plan.ParseRenames([]string{`s/^v(.*)$/$1-production/`})
	if err != nil {
		fmt.Println(err)
		return
	}
	m := plan.TagMap{Pairs: []plan.Pair{{From: "latest", To: "stable"}}, Rename: rename}
	for _, tag := range []string{"latest", "v1.2", "edge"} {
		to, err := m.Targets(tag)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(tag, to)
	}
	// Output:
	// latest [stable]
	// v1.2 [1.2-production]
	// edge [edge]
}

// Read a plan file step by step.
func ExampleReader() {
	p := plan.Plan{Verb: "copy", Overwrite: plan.Update, Steps: []plan.Step{{
		Action: plan.Copy,
		From:   mustName("dev.example/app:v1@" + string(oci.Sum([]byte("1")))),
		To:     mustName("prod.example/app:v1"),
		Size:   1,
	}}}
	var file bytes.Buffer // an os.File in a real program
	if err := p.Write(&file); err != nil {
		fmt.Println(err)
		return
	}

	r, err := plan.NewReader(&file)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("verb:", r.Header().Verb)
	for {
		step, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(step.Action, step.To)
	}
	// Output:
	// verb: copy
	// copy prod.example/app:v1
}
