// Package memory has the budget of memory for what clients send to a server: the bodies of requests, and what they
// become when they are decoded.
//
// A small body can become much memory: each "{}," of a JSON text is three bytes, and a hundred or more when it is
// decoded. So a body is weighed by its content before it is decoded, see Cost.
//
// The files, in the order of the walk:
//
//	body.go     reads the body of a request within the budget
//	budget.go   the Budget, and what one request holds of it
//	cost.go     what a text becomes when it is decoded
package memory
