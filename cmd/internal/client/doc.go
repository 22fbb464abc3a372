// Package client speaks to a dray server over REST, in the words of package wire. It links nothing
// of a server.
//
//	watch.go   what happens to a job, live, over connections that break
//	calls.go   one method a request
//	client.go  the server, who asks, sending and asking again
//	fault.go   the error that an answer was made of
package client
