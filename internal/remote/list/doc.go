// Package list lists what a registry holds: repositories, tags, manifests and locks. If the
// registry has an API of its own that lists tags with their digests, that API is used. If that API
// is not available, the list of the distribution API is used instead.
//
// Files, in the order of the walk:
//
//	locks.go         which tags are locked, and locking them
//	repositories.go  the catalog; first pages of lists
//	manifests.go     manifests with and without a tag
//	list.go          tags, from the registry's own list or from the plain one
//	plain.go         the list of the distribution API, page by page
//	bulk.go          which registry has which list of its own
//	apis.go          the lists of Docker Hub, Quay and Harbor
//	ghcr.go          the list of GitHub
//	ecr.go           the list of Amazon
//	acr.go           the list of Azure
//	pages.go         reading a registry's own list page by page
//	json.go          parsing pages while they arrive
//	lister.go        Lister, and what answers taught
//	rows.go          rows of lists: each valid one once
//	bounds.go        how deep, long and large a list may be
package list
