// Package app is what every run of the command line has: its streams and flags, the configuration,
// logins, and the way to a server. In the order of the walk:
//
//	client.go     the client of the server that is named
//	open.go       the Dray that configuration and flags describe
//	login.go      logins of flags, the environment and a person
//	terminal.go   whether a person is there
//	patience.go   leaving behind what does not return after an interrupt
//	build.go      which dray this is
//	app.go        one run, and the world around it
//	serving.go    what commands of a server ask of the program that has its database and registry
package app
