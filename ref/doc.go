// Package ref reads, prints and compares image names.
//
// A name is always fully qualified: "nginx" is read as
// "docker.io/library/nginx", as every container tool reads it. The grammar is
// that of distribution-spec v1.1.1 §Pulling manifests, with the limits of
// distribution/reference v0.6.0; anything else is refused before a request is made.
//
// Files, in the order of the walk:
//
//	ref.go   names: reading, printing, comparing
//	form.go  the grammar
package ref
