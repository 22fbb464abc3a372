// Package serving does what dray's commands of a server ask for: it makes a server, or opens what
// one keeps, from what package serve read of flags, configuration and environment. Only drayd links it.
// In the order of the walk:
//
//	serving.go   all of it
//	office.go    what a server keeps, opened while none runs on it
//	config.go    the configuration of a server
package serving
