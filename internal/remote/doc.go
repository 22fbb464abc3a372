// Package remote speaks the distribution API (distribution-spec v1.1.1) as a
// client: what a registry elsewhere has, and how content gets there.
//
// A Client knows hosts; a Repository is one repository of a host, opened with
// what will be done there: it reads (package read), lists (list) and puts (push, feed). What
// they ask takes one path down: ask, which tries again; signin, which says who asks; wire,
// which makes one exchange; limit, which holds it back. product is what is known of registries.
//
// A credential goes to its registry's origin and that registry's token service
// and nowhere else. Nothing here logs; events and errors hold no query values
// and no secrets.
//
// Files, in the order of the walk:
//
//	delete.go      deleting tags and manifests
//	rights.go      what a login may do
//	contact.go     how a host is reached
//	hosts.go       what is known of a host, and what it lists
//	repository.go  Repository, opened
//	names.go       the vocabulary
//	client.go      Client and its options
package remote
