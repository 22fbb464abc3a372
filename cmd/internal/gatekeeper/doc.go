// Package gatekeeper is the gate of the programs. It checks the rules of a gate of the configuration, and
// lets drayd verify signatures, which takes libraries that dray does not link.
//
// The files, in the order of the walk:
//
//	admit.go       makes the Keeper of a gate, and asks its rules
//	rules.go       the rules about what an image is: names, platforms, size, age, referrers
//	signatures.go  the signature that a gate requires
//	collect.go     finds the signatures of an image
//	program.go     runs drayd as the verifier
//	trust.go       reads the files of keys, roots and policies
//	keeper.go      Keeper: one gate of the configuration
package gatekeeper
