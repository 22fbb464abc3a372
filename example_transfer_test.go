package dray_test

import (
	"context"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/plan"
)

// Plan a transfer of some repositories, with new paths and new tags. Nothing is written.
func ExampleDray_PlanTransfer() {
	d, stop := exampleRegistry()
	defer stop()

	words := plan.Words{IncludeRepositories: []string{"team/*"}, NewerThan: "90d", Latest: 3}
	selection, err := words.Selection(time.Now())
	if err != nil {
		log.Fatal(err)
	}
	rename, err := plan.ParseRenames([]string{"s/^v(.*)$/$1-tested/"})
	if err != nil {
		log.Fatal(err)
	}
	_, err = d.PlanTransfer(context.Background(), dray.TransferRequest{
		Sources:   []string{"dev"},
		Target:    "dev/backup/",
		Selection: selection,
		Mapping:   plan.Mapping{StripPrefix: "team"},
		Map:       plan.TagMap{Rename: rename},
	}, nil, func(p dray.RepositoryPlan) error {
		for _, step := range p.Steps {
			fmt.Println(step.Action, step.To.Path, step.To.Tag)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: copy backup/app 1-tested
}

// Transfer a whole registry, repository by repository.
func ExampleDray_Transfer() {
	d, stop := exampleRegistry()
	defer stop()

	report, err := d.Transfer(context.Background(), dray.TransferRequest{
		Sources: []string{"dev"},
		Target:  "dev/backup/",
	}, nil, func(r dray.RepositoryReport) error {
		fmt.Println("done:", r.To.Path)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("tags copied:", report.States[dray.Done])
	// Output:
	// done: backup/team/app
	// tags copied: 1
}

// Compare a target with its source. The depth Deep also checks that all content is present.
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
	fmt.Println("all the same:", receipt.Right())
	// Output:
	// v1 missing
	// all the same: false
}

// Spread a transfer over two Drays, which may be processes on two machines: the parts, and the reports, have a JSON form.
func ExampleDray_SplitTransfer() {
	first, second, stop := exampleRegistries()
	defer stop()
	ctx := context.Background()

	request := dray.TransferRequest{Sources: []string{"dev"}, Target: "prod"}
	parts, report, err := first.SplitTransfer(ctx, request, nil)
	if err != nil {
		log.Fatal(err)
	}
	reports := []dray.TransferReport{report}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i, d := range []*dray.Dray{first, second} {
		wg.Go(func() {
			for k := i; k < len(parts); k += 2 { // a queue would hand out the parts
				one := request
				one.Part = &parts[k]
				// A step that failed is in the report, too.
				report, _ := d.Transfer(ctx, one, nil, func(dray.RepositoryReport) error { return nil })
				mu.Lock()
				reports = append(reports, report)
				mu.Unlock()
			}
		})
	}
	wg.Wait()

	sum, err := first.SumTransfer(request, func(yield func(dray.TransferReport, error) bool) {
		for _, r := range reports {
			if !yield(r, nil) {
				return
			}
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("parts:", len(parts), "repositories:", sum.Repositories, "tags copied:", sum.States[dray.Done])
	// Output: parts: 3 repositories: 3 tags copied: 3
}
