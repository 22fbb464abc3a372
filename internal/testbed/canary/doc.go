// Package canary is for tests: every secret that a test makes up has a word in it, and nothing that a program prints or
// leaves may have that word, in whatever form. Private keys, tokens of dray and signatures of addresses, which cannot
// have it, are found by their form.
//
// Tests and the servers of package testbed use it where they have output in their hands. Package suite searches the
// output and the files of all tests, which need to know nothing of it.
//
// Files, in the order in which they use each other:
//
//	excuses.go  where a secret may be, and why
//	canary.go   fails a test if a text or a request has a secret
//	files.go    searches directories
//	search.go   searches bytes, streams and what passes through a writer
//	marks.go    the word, and the forms in which it could leak
package canary
