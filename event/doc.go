// Package event defines the events that dray reports while it works.
//
// The library prints nothing and logs nothing. A program that wants to show progress, write a log
// or count metrics passes an [Observer] to a method of package dray and receives one [Event] for
// each thing that happens:
//
//	report, err := d.Apply(ctx, p, func(e event.Event) {
//		switch e.Kind {
//		case event.Tagged:
//			log.Printf("%s now points to %s", e.Name, e.Digest)
//		case event.Waiting:
//			log.Printf("waiting %s for %s: %s", e.Wait, e.Host, e.Text)
//		}
//	})
//
// A [Requests] function in dray.Config receives one [Request] for each HTTP exchange with a registry.
//
// An Observer watches; it cannot change what happens. To stop an operation, cancel its context.
//
// # Compatibility
//
// The values of [Kind] are part of the events that dray's server sends: a value keeps its meaning. A
// later version may add a Kind, so ignore a Kind that you do not know. The texts of events may change
// at any time.
//
// # Files
//
// In the order of the walk:
//
//	event.go  Event, Observer
package event
