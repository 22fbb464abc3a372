// Package hostile makes a real registry misbehave on request.
//
// A Fault is made by a constructor that says what goes wrong, narrowed by
// methods that say when, and put in front of a real handler:
//
//	cut := hostile.CutBodyAt(1 << 20).Once()
//	r := hostile.New(t, testbed.NewDistribution(t, testbed.Options{}), cut)
//	img := testbed.Random(t, r, "app", "v1", testbed.RandomOptions{Size: 4 << 20})
//	… copy from r …
//	if cut.Fired() != 1 { … }
//
// Without narrowing a fault fires on every request that its constructor names
// (blob GETs for CutBodyAt). On replaces that choice; In, At, When, Once, Times
// and Nth narrow it. Several faults nest: the first is the outermost, all that
// match the same request act on it.
//
//	hostile.Status(503, nil, "").On("GET", testbed.Blob).Times(2)
//	hostile.LoseAnswer().On("PUT", testbed.Manifest).At("v1").Once()
//	hostile.Early401().On("PATCH", testbed.Upload).Nth(3)
//
// Uploads are told apart by method: POST starts, PATCH sends, PUT ends, GET
// asks for the offset, DELETE gives up.
//
// Serve puts a registry with authentication behind faults, so that they see
// token requests and challenges. With Options.Wire = testbed.Pipes everything
// runs in a testing/synctest bubble, and stalls cost no real time; a reset is an
// unexpected EOF there, since pipes know no RST.
//
// Content is stored with testbed's image functions, which pass the faults by.
// Elsewhere is a listener that wants credentials; no test may give it one.
//
// In the order of the walk:
//
//	downloads.go      what goes wrong with bytes that are read
//	uploads.go        what goes wrong with bytes that are sent
//	answers.go        answers that are wrong
//	elsewhere.go      where credentials must not go
//	fault.go          when one fires
//	wire.go           connections, cut and held
//	settle_linux.go   a connection's last bytes, waited for
//	settle_other.go   the same elsewhere
package hostile
