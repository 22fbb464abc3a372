// Package hostile makes a real registry misbehave on request.
//
// A Fault is made by a constructor that says what goes wrong. Its methods say when it happens. It
// is put in front of a real handler:
//
//	cut := hostile.CutBodyAt(1 << 20).Once()
//	r := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), cut)
//	img := testbed.Random(t, r, "app", "v1", testbed.RandomOptions{Size: 4 << 20})
//	… copy from r …
//	if cut.Fired() != 1 { … }
//
// Unless it is narrowed, a fault fires on every request that its constructor names (GETs of blobs
// for CutBodyAt). On replaces that choice. In, At, When, Once, Times and Nth narrow it. Several
// faults nest: the first is the outermost, and all that match a request act on it.
//
//	hostile.Status(503, nil, "").On("GET", testbed.Blob).Times(2)
//	hostile.LoseAnswer().On("PUT", testbed.Manifest).At("v1").Once()
//	hostile.Early401().On("PATCH", testbed.Upload).Nth(3)
//
// The requests of an upload differ by method: POST starts, PATCH sends, PUT completes, GET asks for
// the offset, DELETE cancels.
//
// Serve puts the faults in front of a registry with authentication, so that they see token requests
// and challenges. With Options.Wire = testbed.Pipes everything runs in a testing/synctest bubble,
// and stalls cost no real time. A reset is an unexpected EOF there, since pipes have no RST.
//
// testbed's image functions store content directly in the registry, without the faults. Elsewhere
// is a listener that tries to obtain credentials. No test may send it any.
//
// In the order of the walk:
//
//	downloads.go      faults of bytes that are read
//	uploads.go        faults of bytes that are sent
//	answers.go        wrong responses
//	raw.go            answers that are no HTTP, and answers that hide what was done
//	elsewhere.go      a listener that must never receive credentials
//	fault.go          when a fault fires
//	wire.go           breaks off and stalls connections
//	settle_linux.go   waits until the last bytes of a connection are sent
//	settle_other.go   the same on other systems
package hostile
