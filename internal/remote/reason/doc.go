// Package reason finds the words for what went wrong between dray and a registry: what the body of an
// answer says, whether the answer is a web page, and why a certificate is not accepted. It sends
// nothing.
//
// Files, in the order of the walk:
//
//	certificate.go  what is wrong with a certificate
//	answer.go       what the body of an answer says, and the Kind of error that it means
//	page.go         web pages that answer in place of a registry, and compressed bodies
//	marks.go        causes that callers ask for: absent, forbidden, a web page; the innermost cause
//	clean.go        printable text, and the name of a login
package reason
