// Package limit delays requests. It limits how many requests a host gets at once, how many of a
// class it gets in a period, and how many pulls are made. It holds back all requests while a
// registry asks to wait, and spares a host that went down. It sends nothing: its callers ask before
// they send a request, and report the answer.
//
// Files, in the order of the walk:
//
//	crowd.go      how many requests a host gets at once
//	allowance.go  request rates that registries publish
//	pulls.go      the pull limit of Docker Hub
//	headers.go    parsing Retry-After and RateLimit-*
//	circuit.go    the circuit breaker: whether the host answers at all
//	gate.go       Gate, Pace and Pause: places, an even rate, a pause for all; sleeping
package limit
