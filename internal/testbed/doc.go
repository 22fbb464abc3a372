// Package testbed gives tests real registries, real images and outside judges.
// It fakes nothing that can be real; it knows nothing of the code under test.
//
// # Registries
//
// Each of these listens on 127.0.0.1, ends with the test and returns a
// *Registry:
//
//	r := testbed.Distribution(t, testbed.Options{})                    // distribution v3, in process
//	r := testbed.Sloppy(t, testbed.Options{})                          // go-containerregistry's: few checks
//	r := testbed.DockerRegistry(t, testbed.Options{})                  // Debian's docker-registry 2.8.2
//	r := testbed.Serve(t, hollow.NewSink(t), testbed.Options{})        // hashes uploads and forgets them
//	r := testbed.Serve(t, anyHandler, testbed.Options{})               // your own
//
// Options put any of them behind TLS, HTTP/2, Basic or Bearer authentication,
// or a Front such as a script of faults (see package hostile):
//
//	r := testbed.Distribution(t, testbed.Options{
//		Scheme: testbed.HTTPS,
//		Auth:   testbed.Auth{Mode: testbed.Bearer, Users: map[string]string{"ann": "secret"}},
//	})
//
// Every request is recorded. Count what a verb costs like this:
//
//	r.Reset()
//	… the verb …
//	if n := r.Count("GET", testbed.Manifest); n != 1 { … }
//	t.Log(r.Story()) // one line per request
//
// # Virtual time
//
// With Wire Pipes a registry takes part in a testing/synctest bubble, so hours
// of Retry-After, stalls and token lifetimes cost milliseconds. Its Dial is for
// the client under test; Dialer joins several registries.
//
//	h := testbed.NewDistribution(t, testbed.Options{}) // outside: see there
//	synctest.Test(t, func(t *testing.T) {
//		r := testbed.Serve(t, h, testbed.Options{Wire: testbed.Pipes})
//		c := &http.Client{Transport: &http.Transport{DialContext: r.Dial}}
//		…
//	})
//
// # Images
//
// Image functions store content behind the registry's front: without network,
// log, authentication or faults. They return an Image with its root, its
// blobs and its manifests counted.
//
//	img := testbed.Random(t, r, "team/app", "v1", testbed.RandomOptions{Layers: 3, Size: 1 << 20})
//	img := testbed.Index(t, r, "team/app", "v1", 120)
//
// Others: Nested, HelloWorld, Busybox (runs), HelmChart, Artifact, Foreign,
// Layout with RegclientRepo, and hollow.Sparse for a layer of any size.
//
// Blob and Manifest of a Registry store single pieces the same way.
//
// # Judges
//
// Same walks an image at source and target and hashes every byte, again behind
// the front. SkopeoInspect, SkopeoCopy, CraneDigest and UmociUnpack ask other
// people's tools, over the wire.
//
// # Files
//
// What registries have beside the distribution API is package beside, those that
// hold nothing are package hollow, and databases package database. Here, in the
// order of the walk:
//
//	special.go      charts, artifacts, foreign layers, schema 1
//	real.go         images that somebody else made
//	docker.go       Debian's docker-registry
//	registries.go   distribution in this process, and a lenient registry
//	serve.go        any handler, served until the test ends
//	auth.go         logins, asked for
//	judge.go        what a target holds, read again by us and by others' tools
//	pipe.go         connections without sockets, for virtual time
//	issuer.go       tokens, given out
//	images.go       images that are made up
//	put.go          blobs and manifests, stored behind the front
//	registry.go     a running registry, and the log of its requests
//	options.go      how a registry is served
//	request.go      what a path means, and which rights a request takes
//	answer.go       answers in the form of registries
package testbed
