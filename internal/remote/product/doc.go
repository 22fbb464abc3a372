// Package product is what is known of the registries that there are, without asking them:
// how they differ from the distribution specification, what they call their rights, and
// what helps who was refused.
//
// Files, in the order of the walk:
//
//	hints.go    what a refusal means, and the way out of it
//	traits.go   rights, mounts, cut uploads
//	dialect.go  which product a host is, and how its uploads differ
package product
