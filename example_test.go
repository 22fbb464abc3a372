package dray_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// exampleRegistry starts a registry that holds the image team/app:v1, and a Dray that knows it as "dev".
func exampleRegistry() (d *dray.Dray, stop func()) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	host := strings.TrimPrefix(server.URL, "http://")
	tag, err := name.NewTag(host + "/team/app:v1")
	if err != nil {
		log.Fatal(err)
	}
	if err := remote.Write(tag, empty.Image); err != nil {
		log.Fatal(err)
	}
	d, err = dray.New(dray.Config{Registries: map[string]dray.Registry{
		"dev": {Host: host, Settings: dray.Settings{PlainHTTP: true}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	return d, func() { d.Close(); server.Close() }
}

// A plan says what would happen; Apply does it, and its report says what did.
func Example() {
	d, stop := exampleRegistry()
	defer stop()
	ctx := context.Background()

	plan, err := d.PlanImport(ctx, dray.ImportRequest{
		Source: "dev/team/app:v1",
		Target: "dev",
		Images: []string{"prod/app:v1", "prod/app:latest"},
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range plan.Steps {
		fmt.Println(step.Action, step.To.Path, step.To.Tag)
	}
	report, err := d.Apply(ctx, plan, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Count(dray.Done), "names are set")
	// Output:
	// copy prod/app v1
	// copy prod/app latest
	// 2 names are set
}

func ExampleDray_PlanCopy() {
	d, stop := exampleRegistry()
	defer stop()
	ctx := context.Background()

	plan, err := d.PlanCopy(ctx, dray.CopyRequest{Source: "dev/team/app", Targets: []string{"dev/mirror/app"}, Tags: dray.AllTags}, nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := d.Apply(ctx, plan, nil); err != nil {
		log.Fatal(err)
	}
	err = d.List(ctx, dray.LookRequest{Name: "dev/mirror/app"}, nil, func(e dray.Entry) error {
		fmt.Println(e.Repository.Path, e.Tag)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: mirror/app v1
}

func ExampleDray_PlanTag() {
	d, stop := exampleRegistry()
	defer stop()
	ctx := context.Background()

	plan, err := d.PlanTag(ctx, dray.TagRequest{Image: "dev/team/app:v1", Tags: []string{"stable"}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	report, err := d.Apply(ctx, plan, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Steps[0].Action, report.Steps[0].State)
	// Output: retag done
}

// What went wrong is told by its Kind, never by its text.
func ExampleDray_Digest() {
	d, stop := exampleRegistry()
	defer stop()

	_, err := d.Digest(context.Background(), dray.LookRequest{Name: "dev/team/app:v9"}, nil)
	fmt.Println(fault.KindOf(err) == fault.NotFound)
	// Output: true
}

// A whole registry is planned and transferred repository by repository: no list of all its tags is ever held.
func ExampleDray_Transfer() {
	d, stop := exampleRegistry()
	defer stop()
	ctx := context.Background()

	req := dray.TransferRequest{Sources: []string{"dev"}, Target: "dev/backup/"}
	_, err := d.PlanTransfer(ctx, req, nil, func(p dray.RepositoryPlan) error {
		for _, step := range p.Steps {
			fmt.Println("planned:", step.Action, step.To.Path, step.To.Tag)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	report, err := d.Transfer(ctx, req, nil, func(r dray.RepositoryReport) error {
		fmt.Println("done:", r.To.Path)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.States[dray.Done], "tag")
	// Output:
	// planned: copy backup/team/app v1
	// done: backup/team/app
	// 1 tag
}

// Each entry stands for itself: one that can not be read or found stops no other.
func ExampleDray_PlanBatch() {
	d, stop := exampleRegistry()
	defer stop()
	ctx := context.Background()

	plan, err := d.PlanBatch(ctx, dray.BatchRequest{Target: "dev", Entries: []dray.BatchEntry{
		{Source: "dev/team/app:v1", Targets: []string{"prod/app:v1"}},
		{Source: "dev/team/app:v9", Targets: []string{"prod/app:v9"}},
	}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	report, err := d.Apply(ctx, plan, nil)
	for _, step := range report.Steps {
		fmt.Println(step.To.Tag, step.State)
	}
	fmt.Println(fault.KindOf(err))
	// Output:
	// v1 done
	// v9 failed
	// not_found
}

// A plan is kept in a file, reviewed, and applied later: it moves exactly what it says, or nothing.
func ExampleDray_ApplyFile() {
	d, stop := exampleRegistry()
	defer stop()
	ctx := context.Background()

	made, err := d.PlanCopy(ctx, dray.CopyRequest{Source: "dev/team/app:v1", Targets: []string{"dev/prod/app"}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	var file bytes.Buffer
	if err := made.Write(&file); err != nil {
		log.Fatal(err)
	}
	read, err := plan.NewReader(&file)
	if err != nil {
		log.Fatal(err)
	}
	report, err := d.ApplyFile(ctx, dray.PlanFileRequest{Plan: read}, nil, func(r dray.RepositoryReport) error {
		for _, step := range r.Steps {
			fmt.Println(step.Action, step.To.Path, step.State)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Verb)
	// Output:
	// copy prod/app done
	// copy
}

// Verify compares what targets hold with their sources; Deep looks at all that is below their names.
func ExampleDray_Verify() {
	d, stop := exampleRegistry()
	defer stop()

	receipt, err := d.Verify(context.Background(), dray.VerifyRequest{
		Of:    dray.TransferRequest{Sources: []string{"dev/team/app"}, Target: "dev/prod/app"},
		Depth: dray.Deep,
	}, nil, func(e dray.VerifyEntry) error {
		fmt.Println(e.From.Tag, e.Match)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(receipt.Right())
	// Output:
	// v1 missing
	// false
}

// Check finds out what is in the way of a copy, and leaves nothing behind.
func ExampleDray_Check() {
	d, stop := exampleRegistry()
	defer stop()

	report, err := d.Check(context.Background(), dray.CheckRequest{Source: "dev/team/app:v9"}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Ready, report.Verdict)
	// Output: false not ready, problems with: source tag
}

// What a removal takes with it is known before it is done.
func ExampleDray_Remove() {
	d, stop := exampleRegistry()
	defer stop()
	ctx := context.Background()

	found, err := d.PlanRemove(ctx, dray.RemoveRequest{Image: "dev/team/app:v1"}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("goes:", found.Tags)
	if err := d.Remove(ctx, found, nil, nil); err != nil {
		log.Fatal(err)
	}
	_, err = d.Digest(ctx, dray.LookRequest{Name: "dev/team/app:v1"}, nil)
	fmt.Println(fault.KindOf(err))
	// Output:
	// goes: [v1]
	// not_found
}
