// Package product holds what is known about registry products without a request to them: how they
// differ from the distribution specification, how they name their permissions, and which hint helps
// after a refusal.
//
// Files, in the order of the walk:
//
//	hints.go    what a refusal means, and the hint for it
//	traits.go   names of permissions, support for mounts and for resuming uploads
//	dialect.go  which product a host runs, and how its uploads differ
package product
