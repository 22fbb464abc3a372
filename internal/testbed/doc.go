// Package testbed provides real registries, real images and independent checks for tests. It uses
// the real thing wherever that is possible, and does not depend on the code under test.
//
// # Registries
//
// Each of these listens on 127.0.0.1, ends with the test and returns a *Registry:
//
//	r := testbed.Distribution(t, testbed.Options{})                    // distribution v3, in process
//	r := testbed.Sloppy(t, testbed.Options{})                          // go-containerregistry's: few checks
//	r := testbed.DockerRegistry(t, testbed.Options{})                  // Debian's docker-registry 2.8.2
//	r := testbed.Serve(t, hollow.NewSink(t), testbed.Options{})        // hashes uploads and forgets them
//	r := testbed.Serve(t, anyHandler, testbed.Options{})               // your own
//
// Options put any of them behind TLS, HTTP/2, Basic or Bearer authentication, or a Front such as a
// script of faults (see package hostile):
//
//	r := testbed.Distribution(t, testbed.Options{
//		Scheme: testbed.HTTPS,
//		Auth:   testbed.Auth{Mode: testbed.Bearer, Users: map[string]string{"ann": testbed.Password}},
//	})
//
// Every request is recorded. To count the requests of a verb:
//
//	r.Reset()
//	… the verb …
//	if n := r.Count("GET", testbed.Manifest); n != 1 { … }
//	t.Log(r.Story()) // one line per request
//
// # Virtual time
//
// With Wire Pipes a registry takes part in a testing/synctest bubble, so that hours of Retry-After,
// stalls and token lifetimes cost milliseconds. Its Dial is for the client under test. Dialer joins
// several registries.
//
//	h := testbed.NewDistribution(t, testbed.Options{}) // outside the bubble: see NewDistribution
//	synctest.Test(t, func(t *testing.T) {
//		r := testbed.Serve(t, h, testbed.Options{Wire: testbed.Pipes})
//		c := &http.Client{Transport: &http.Transport{DialContext: r.Dial}}
//		…
//	})
//
// # Images
//
// Image functions store content directly in the registry, behind its front: without network, log,
// authentication or faults. They return an Image with its root, its blobs and the number of its
// manifests.
//
//	img := testbed.Random(t, r, "team/app", "v1", testbed.RandomOptions{Layers: 3, Size: 1 << 20})
//	img := testbed.Index(t, r, "team/app", "v1", 120)
//
// Others: Nested, HelloWorld, Busybox (which can be run), HelmChart, Artifact, Foreign, Layout with
// RegclientRepo, and hollow.Sparse for a layer of any size.
//
// The methods Blob and Manifest of a Registry store a single blob or manifest in the same way.
//
// # Judges
//
// Same compares an image at source and target and hashes every byte, again behind the front.
// SkopeoInspect, SkopeoCopy, CraneDigest and UmociUnpack use tools of other projects, over the
// network.
//
// # Files
//
// Package beside has the APIs that registries offer in addition to the distribution API. Package
// hollow has registries that store no content, package database has databases, package calls kills programs at
// their writes, and package tools lets cosign, notation, oras and helm work with images. The files of
// this package, in the order of the walk:
//
//	special.go      charts, artifacts, foreign layers, schema 1
//	real.go         images that other projects built
//	docker.go       Debian's docker-registry
//	registries.go   distribution in this process, and a lenient registry
//	serve.go        serves any handler until the test ends
//	auth.go         asks clients for a login
//	judge.go        reads a target again, with this package and with other tools
//	pipe.go         connections without sockets, for virtual time
//	issuer.go       the token service
//	images.go       generated images
//	put.go          stores blobs and manifests behind the front
//	registry.go     a running registry, and the log of its requests
//	options.go      how a registry is served
//	request.go      what a path means, and which rights a request requires
//	answer.go       responses in the form of registries
package testbed
