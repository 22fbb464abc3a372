// Package serving has the functions behind the commands of package serve: it runs a server, or opens the
// data of one, from the settings that package serve has read. Only the program drayd links it. In the order
// of the walk:
//
//	serving.go   all functions
//	office.go    the data of a server, opened while no server uses it
//	config.go    the configuration of a server
//	logs.go      what libraries log
package serving
