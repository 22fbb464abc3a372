package dray_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
)

// Resolve a tag to its digest. The Kind of an error says what went wrong.
func ExampleDray_Digest() {
	d, stop := exampleRegistry()
	defer stop()
	ctx := context.Background()

	desc, err := d.Digest(ctx, dray.LookRequest{Name: "dev/team/app:v1"}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(desc.Digest.Algorithm())

	_, err = d.Digest(ctx, dray.LookRequest{Name: "dev/team/app:v9"}, nil)
	fmt.Println(fault.KindOf(err))
	// Output:
	// sha256
	// not_found
}

// List the repositories of a registry, then the tags of a repository.
func ExampleDray_List() {
	d, stop := exampleRegistry()
	defer stop()
	ctx := context.Background()

	err := d.List(ctx, dray.LookRequest{Name: "dev"}, nil, func(e dray.Entry) error {
		fmt.Println("repository", e.Repository.Path)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	err = d.List(ctx, dray.LookRequest{Name: "dev/team/app"}, nil, func(e dray.Entry) error {
		fmt.Println("tag", e.Tag, e.Digest != "")
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// repository team/app
	// tag v1 true
}

// Stop a listing early: the error of the function is returned as it is.
func ExampleDray_ListTags() {
	d, stop := exampleRegistry()
	defer stop()

	found := errors.New("found it")
	err := d.ListTags(context.Background(), dray.LookRequest{Name: "dev/team/app"}, nil, func(e dray.Entry) error {
		if e.Tag == "v1" {
			return found
		}
		return nil
	})
	fmt.Println(errors.Is(err, found))
	// Output: true
}

// Read the manifest of an image.
func ExampleDray_Manifest() {
	d, stop := exampleRegistry()
	defer stop()

	doc, err := d.Manifest(context.Background(), dray.LookRequest{Name: "dev/team/app:v1"}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(doc.MediaType)
	fmt.Println(len(doc.Raw) == int(doc.Size), len(doc.Blobs), "blob")
	// Output:
	// application/vnd.docker.distribution.manifest.v2+json
	// true 1 blob
}

// Look at the platforms of an image.
func ExampleDray_Inspect() {
	d, stop := exampleRegistry()
	defer stop()

	image, err := d.Inspect(context.Background(), dray.LookRequest{Name: "dev/team/app:v1"}, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range image.Platforms {
		fmt.Println(p.Platform, len(p.Layers), "layers")
	}
	// Output: linux/amd64 0 layers
}

// Find out what would prevent a copy. Check leaves nothing behind.
func ExampleDray_Check() {
	d, stop := exampleRegistry()
	defer stop()

	report, err := d.Check(context.Background(), dray.CheckRequest{Source: "dev/team/app:v9"}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready:", report.Ready)
	for _, side := range report.Sides {
		for _, finding := range side.Findings {
			if finding.State == dray.Fail {
				fmt.Println(side.Side, finding.What, finding.Kind)
			}
		}
	}
	// Output:
	// ready: false
	// source tag not_found
}

// Find out what a removal would remove, then remove it.
func ExampleDray_Remove() {
	d, stop := exampleRegistry()
	defer stop()
	ctx := context.Background()

	removal, err := d.PlanRemove(ctx, dray.RemoveRequest{Image: "dev/team/app:v1"}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("tags to remove:", removal.Tags)
	if err := d.Remove(ctx, removal, nil, nil); err != nil {
		log.Fatal(err)
	}
	_, err = d.Digest(ctx, dray.LookRequest{Name: "dev/team/app:v1"}, nil)
	fmt.Println(fault.KindOf(err))
	// Output:
	// tags to remove: [v1]
	// not_found
}
