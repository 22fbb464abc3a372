// Package storm has a table of single faults, the works in which each of them happens, and what must be true
// afterwards. Tests of package dray and of the engine of a server share it.
//
//	stage := storm.NewStage(t) // outside the bubble
//	…
//	target := testbed.NewDistribution(t, testbed.Options{Content: testbed.Open})
//	synctest.Test(t, func(t *testing.T) {
//		w := stage.Open(t, storm.Image, target, c)
//		traffic, err := … the work, with w.Config() …
//		w.Judge(traffic, err)
//		w.Calm()
//		… the same work again …
//		w.Complete(err)
//	})
//
// In the order of the walk:
//
//	table.go     all faults
//	logins.go    faults of token services and challenges
//	lists.go     faults of lists of repositories, of tags and of referrers
//	manifests.go faults of manifests that are read
//	blobs.go     faults of blobs that are read
//	uploads.go   faults of blobs that are sent
//	tags.go      faults of manifests that are sent
//	words.go     answers that many rows use
//	do.go        the works
//	judge.go     what must be true after a work
//	world.go     two registries with faults, in virtual time
//	case.go      what a row of the table says, and where it happens
package storm
