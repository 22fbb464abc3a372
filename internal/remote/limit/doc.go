// Package limit holds requests back: as many at once as a host takes, no more of a kind
// than a registry allows in its time, no pull that is not left, nothing while a registry
// asks to wait. It sends nothing; whoever sends asks here first, and tells what was answered.
//
// Files, in the order of the walk:
//
//	crowd.go      how many requests a host gets at once
//	allowance.go  how many of a kind in so much time, by what registries publish
//	pulls.go      Docker Hub's limit of pulls
//	headers.go    what answers say of waiting: Retry-After, RateLimit-*
//	gate.go       places, an even pace, a pause for all; sleeping
package limit
