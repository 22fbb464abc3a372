// Package backing opens what is behind a registry: a directory, or a bucket of an object store. The drivers are those
// of the distribution project.
//
// Files, in the order of the walk:
//
//	try.go         tries a bucket: writes, reads, lists and deletes one object
//	backing.go     opens the driver
//	pending.go     lists objects that were begun and not finished
//	temporary.go   finds what interrupted writes left
//	driver.go      what the registry adds to distribution's drivers
//	patient.go     waits while this process has too many files open
//	unwritable.go  errors without paths, and those of a storage that takes nothing
//	room.go        how much space is free
//	room_unix.go     on Unix
//	room_windows.go  on Windows
//	s3.go          the driver of S3, in a program with the tag s3
//	s3_none.go       without the tag
//	parts.go       what is known of such an object
//	azure.go       the driver of Azure Blob Storage, with the tag azure
//	gcs.go         the driver of Google Cloud Storage, with the tag gcs
//	storage.go     which storage is meant
package backing
