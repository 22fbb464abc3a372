// Package temporal starts Temporal's own development server for tests. In the order of the walk:
//
//	servers.go        the server that the tests of a package share, and a namespace for each test
//	server.go         one server: start, stop, kill
//	orphan_linux.go   ends the server with the process that started it, also if that is killed
//	orphan_other.go   the same on other systems: nothing
package temporal
