// Package client sends requests to a dray server over REST, with the types of package wire. It imports
// nothing of a server.
//
//	watch.go   the events of a job, read live over connections that may break
//	calls.go   one method for each request of the REST interface
//	client.go  the client's configuration, and how it sends a request and retries it
//	fault.go   the error of an answer, as a fault
package client
