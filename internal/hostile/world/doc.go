// Package world is for tests: it draws worlds of two registries by chance, lets something be copied between them three
// times, the first time in trouble, and compares the result with a model that knows what should be there.
//
//	rapid.Check(t, func(rt *rapid.T) {
//		w := world.Draw(rt)
//		h := w.Handlers(t) // outside of the bubble: see testbed.NewDistribution
//		synctest.Test(t, func(t *testing.T) {
//			s := w.Open(t, h)
//			… dray.New(s.Config()) …
//			broken = s.Live(func() world.Outcome { … })
//		})
//	})
//
// A World says all that is drawn, so that a failure can be read. A Stage is a World whose registries run.
//
// Files, in the order in which they use each other:
//
//	live.go     three runs, and what must hold after each
//	report.go   whether a report says what happened
//	tags.go     whether the tags and the lists of referrers at the target are as they should be
//	logins.go   whether logins stayed at home
//	stage.go    the registries of a world, and what is in them before
//	proofs.go   whether everything below a document was proven at the target before it was put
//	diary.go    a registry that checks each write at the moment when it accepts it
//	wishes.go   the model: what the target should have
//	works.go    the requests
//	draw.go     draws a world
//	fault.go    what goes wrong
//	content.go  images, indexes and what refers to them
//	world.go    what is drawn
//	ask.go      reads a registry behind everything else
package world
