// Package ask sends a request to a registry until it is answered. It logs in, keeps within the
// registry's limits, and repeats the request if that may help.
//
// Files, in the order of the walk:
//
//	handle.go  Handle: one repository, with the login and the observer of its requests
//	do.go      the retry loop, and one attempt with its login
//	pulls.go   waiting until the pull limit allows a pull
//	retry.go   how many attempts, and how long between them
//	host.go    Host: the connections to a host and its login desk
package ask
