// Package client speaks to a dray server over REST, in the words of package wire. It links nothing
// of a server. In the order of the walk:
//
//	watch.go    a job watched, through connections that end
//	calls.go    what one may ask
//	client.go   one request and its answer
//	fault.go    answers that are errors
package client
