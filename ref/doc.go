// Package ref parses, prints and compares the names of images and repositories.
//
// [Parse] reads a name as people type it and returns a [Name] that is always fully qualified:
//
//	nginx                          docker.io/library/nginx
//	prod.example/team/app:v1       host prod.example, path team/app, tag v1
//	localhost:5000/app@sha256:…    host localhost:5000, path app, that digest
//	oci:build/out:v1               the tag v1 of the OCI image layout in the directory build/out
//	oci:out:quay.io/team/app:v1    in the layout out, the image whose whole name is quay.io/team/app:v1
//	oci://prod.example/charts/a    host prod.example, path charts/a, as Helm and Flux write it
//
// A name without a host is on Docker Hub, as every container tool reads it. A [Repo] is a Name
// without its tag and digest.
//
// The grammar is that of distribution-spec v1.1.1 §Pulling manifests, with the limits of
// distribution/reference v0.6.0. Any other text is refused before a request is made. All errors of
// this package are [fault.Invalid].
//
// # Compatibility
//
// The text that Name.String returns is part of plan files and of dray's JSON output. Parse reads it
// back as the same Name.
//
// # Files
//
// In the order of the walk:
//
//	ref.go        names: parse, print, compare
//	foreign.go    what other tools write as names, and dray does not
//	transport.go  what other tools write before a name
//	form.go       the grammar, and the error of what does not match it
package ref
