package event_test

import (
	"fmt"

	"github.com/drayage/dray/event"
)

// An Observer sees each event. Pass it to a method of package dray, which calls it; here, the example
// calls it itself.
func ExampleObserver() {
	var watch event.Observer = func(e event.Event) {
		switch e.Kind {
		case event.Tagged:
			fmt.Println(e.Name, "now points to", e.Digest)
		case event.Failed:
			fmt.Println(e.Name, "failed:", e.Err)
		}
	}

	watch.Tell(event.Event{Kind: event.Started, Name: "prod.example/app"})
	watch.Tell(event.Event{Kind: event.Tagged, Name: "prod.example/app:v1", Digest: "sha256:9f86…"})
	// Output: prod.example/app:v1 now points to sha256:9f86…
}
