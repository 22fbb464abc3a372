// Package list tells what a registry holds: repositories, tags, manifests, and what is locked.
// Where the registry has a list of its own that tells digests, that is asked, and the list
// of the distribution API where it can not be had.
//
// Files, in the order of the walk:
//
//	locks.go         what is locked, and locking it
//	repositories.go  the catalog; first pages
//	manifests.go     manifests with and without a tag
//	list.go          tags: the registry's own list or the plain one
//	plain.go         the list of the distribution API, page by page
//	bulk.go          which registry has which list of its own
//	apis.go          those of Docker Hub, Quay and Harbor
//	ghcr.go          of GitHub
//	ecr.go           of Amazon
//	acr.go           of Azure
//	pages.go         such a list, page by page
//	json.go          pages are read while they arrive
//	lister.go        Lister, and what answers taught
//	rows.go          rows of lists: each once, and only what makes sense
package list
