package dray_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drayage/dray"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/plan"
)

// exampleRegistry starts a registry that holds the image team/app:v1, and returns a Dray that knows the
// registry as "dev".
func exampleRegistry() (d *dray.Dray, stop func()) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	host := strings.TrimPrefix(server.URL, "http://")
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		log.Fatal(err)
	}
	tag, err := name.NewTag(host + "/team/app:v1")
	if err != nil {
		log.Fatal(err)
	}
	if err := remote.Write(tag, image); err != nil {
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

// exampleRegistries starts a registry "dev" with three repositories and an empty registry "prod", and returns two Drays
// that know them.
func exampleRegistries() (first, second *dray.Dray, stop func()) {
	known := map[string]dray.Registry{}
	var servers []*httptest.Server
	for _, registryName := range []string{"dev", "prod"} {
		server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
		servers = append(servers, server)
		known[registryName] = dray.Registry{Host: strings.TrimPrefix(server.URL, "http://"), Settings: dray.Settings{PlainHTTP: true}}
	}
	for _, repo := range []string{"team/api", "team/web", "tool"} {
		tag, err := name.NewTag(known["dev"].Host + "/" + repo + ":v1")
		if err == nil {
			err = remote.Write(tag, empty.Image)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	var drays []*dray.Dray
	for range 2 {
		d, err := dray.New(dray.Config{Registries: known})
		if err != nil {
			log.Fatal(err)
		}
		drays = append(drays, d)
	}
	return drays[0], drays[1], func() {
		for _, d := range drays {
			d.Close()
		}
		for _, s := range servers {
			s.Close()
		}
	}
}

// Plan a copy, look at the plan, and carry it out.
func Example() {
	d, stop := exampleRegistry()
	defer stop()
	ctx := context.Background()

	p, err := d.PlanCopy(ctx, dray.CopyRequest{
		Source:  "dev/team/app:v1",
		Targets: []string{"dev/prod/app:v1", "dev/prod/app:stable"},
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range p.Steps {
		fmt.Println(step.Action, step.To.Path, step.To.Tag)
	}
	report, err := d.Apply(ctx, p, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Count(dray.Done), "tags are set")
	// Output:
	// copy prod/app v1
	// copy prod/app stable
	// 2 tags are set
}

// A configuration with two registries that have names, the logins that docker and podman know, and a
// limit for the bandwidth.
func ExampleNew() {
	home, err := os.UserHomeDir()
	if err != nil {
		log.Fatal(err)
	}
	d, err := dray.New(dray.Config{
		Registries: map[string]dray.Registry{
			"dev":  {Host: "localhost:5000", Settings: dray.Settings{PlainHTTP: true}},
			"prod": {Host: "prod.example"},
		},
		Logins: credential.Files{Env: os.Getenv, Home: home}.Lookups(),
		Limits: dray.Limits{Bandwidth: 50 << 20},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()

	name, err := d.Name("prod/team/app:v1", fault.Source)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(name)
	// Output: prod.example/team/app:v1
}

// Import one image under two names, as az acr import does. The source is read once.
func ExampleDray_PlanImport() {
	d, stop := exampleRegistry()
	defer stop()
	ctx := context.Background()

	p, err := d.PlanImport(ctx, dray.ImportRequest{
		Source: "dev/team/app:v1",
		Target: "dev",
		Images: []string{"prod/app:v1", "prod/app:latest"},
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	report, err := d.Apply(ctx, p, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range report.Steps {
		fmt.Println(step.To.Path, step.To.Tag, step.State)
	}
	// Output:
	// prod/app v1 done
	// prod/app latest done
}

// Copy all tags of a repository.
func ExampleDray_PlanCopy() {
	d, stop := exampleRegistry()
	defer stop()
	ctx := context.Background()

	p, err := d.PlanCopy(ctx, dray.CopyRequest{
		Source:  "dev/team/app",
		Targets: []string{"dev/mirror/app"},
		Tags:    dray.AllTags,
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	report, err := d.Apply(ctx, p, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range report.Steps {
		fmt.Println(step.To.Path, step.To.Tag, step.State)
	}
	// Output: mirror/app v1 done
}

// Give an image one more tag. No blob moves.
func ExampleDray_PlanTag() {
	d, stop := exampleRegistry()
	defer stop()
	ctx := context.Background()

	p, err := d.PlanTag(ctx, dray.TagRequest{Image: "dev/team/app:v1", Tags: []string{"stable"}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	report, err := d.Apply(ctx, p, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Steps[0].Action, report.Steps[0].State)
	// Output: retag done
}

// Copy a list of images. An image that cannot be found does not stop the others.
func ExampleDray_PlanBatch() {
	d, stop := exampleRegistry()
	defer stop()
	ctx := context.Background()

	p, err := d.PlanBatch(ctx, dray.BatchRequest{Target: "dev", Entries: []dray.BatchEntry{
		{Source: "dev/team/app:v1", Targets: []string{"prod/app:v1"}},
		{Source: "dev/team/app:v9", Targets: []string{"prod/app:v9"}},
	}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	report, err := d.Apply(ctx, p, nil)
	for _, step := range report.Steps {
		fmt.Println(step.To.Tag, step.State)
	}
	fmt.Println(fault.KindOf(err))
	// Output:
	// v1 done
	// v9 failed
	// not_found
}

// Watch what happens while a plan is carried out.
func ExampleDray_Apply() {
	d, stop := exampleRegistry()
	defer stop()
	ctx := context.Background()

	p, err := d.PlanCopy(ctx, dray.CopyRequest{Source: "dev/team/app:v1", Targets: []string{"dev/prod/app"}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	watch := func(e event.Event) { // may be called by several goroutines at the same time
		if e.Kind == event.Tagged {
			_, tag, _ := strings.Cut(e.Name, "/")
			fmt.Println("tagged", tag)
		}
	}
	if _, err := d.Apply(ctx, p, watch); err != nil {
		log.Fatal(err)
	}
	// Output: tagged prod/app:v1
}

// Write a plan to a file, read it back, and apply it. The plan copies exactly the digests that it names.
// If a name has changed since the plan was made, Apply writes nothing and returns fault.Moved.
func ExampleReadPlan() {
	d, stop := exampleRegistry()
	defer stop()
	ctx := context.Background()

	dir, err := os.MkdirTemp("", "dray-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	// Today: plan, and write the plan to a file for review.
	p, err := d.PlanCopy(ctx, dray.CopyRequest{Source: "dev/team/app:v1", Targets: []string{"dev/prod/app"}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	file, err := os.Create(filepath.Join(dir, "plan.jsonl"))
	if err != nil {
		log.Fatal(err)
	}
	if err := p.Write(file); err != nil {
		log.Fatal(err)
	}
	if err := file.Close(); err != nil {
		log.Fatal(err)
	}

	// Tomorrow: read the file and apply the plan.
	file, err = os.Open(filepath.Join(dir, "plan.jsonl"))
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	reviewed, err := dray.ReadPlan(file)
	if err != nil {
		log.Fatal(err)
	}
	report, err := d.Apply(ctx, reviewed, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Steps[0].To.Path, report.Steps[0].State)
	// Output: prod/app done
}

// Carry out a plan while it is read from a file, so that the plan can be larger than memory.
func ExampleDray_ApplyFile() {
	d, stop := exampleRegistry()
	defer stop()
	ctx := context.Background()

	p, err := d.PlanCopy(ctx, dray.CopyRequest{Source: "dev/team/app:v1", Targets: []string{"dev/prod/app"}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	var file bytes.Buffer // an os.File in a real program
	if err := p.Write(&file); err != nil {
		log.Fatal(err)
	}

	reader, err := plan.NewReader(&file)
	if err != nil {
		log.Fatal(err)
	}
	report, err := d.ApplyFile(ctx, dray.PlanFileRequest{Plan: reader}, nil, func(r dray.RepositoryReport) error {
		for _, step := range r.Steps {
			fmt.Println(step.Action, step.To.Path, step.State)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.States[dray.Done], "step done")
	// Output:
	// copy prod/app done
	// 1 step done
}

// Find out what a plan would cost, before it is applied.
func ExampleDray_Estimate() {
	d, stop := exampleRegistry()
	defer stop()
	ctx := context.Background()

	p, err := d.PlanCopy(ctx, dray.CopyRequest{Source: "dev/team/app:v1", Targets: []string{"dev/prod/app"}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	var file bytes.Buffer // an os.File in a real program
	if err := p.Write(&file); err != nil {
		log.Fatal(err)
	}

	reader, err := plan.NewReader(&file)
	if err != nil {
		log.Fatal(err)
	}
	cost, err := d.Estimate(ctx, dray.EstimateRequest{Plan: reader}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cost.Images, "image,", cost.Blobs, "blob,", cost.Tags, "tag")
	// Output: 1 image, 1 blob, 1 tag
}
