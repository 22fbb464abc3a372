// Package place is a repository wherever it is: behind a registry's API, in a layout on disk, or
// in a registry of this process.
//
// Files, in the order in which they use each other:
//
//	session.go     what one plan and its application share: opened ends, logins
//	sharing.go     which repositories of a registry hold which blobs
//	traffic.go     what was exchanged with registries
//	base.go        what all sessions of one Dray share
//	repository.go  a repository wherever it is
//	each.go        a few things at a time
package place
