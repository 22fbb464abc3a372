// Package app holds what every run of the command line has: its streams and flags, the configuration,
// logins, and the client of a server. In the order of the walk:
//
//	next.go           the command lines of next steps
//	client.go         the client of the server that flag, environment or configuration name
//	gate.go           the gates that --verify-signature names
//	open.go           the Dray that configuration and flags describe
//	login.go          logins from flags, the environment and the terminal
//	ask.go            questions to a person at the terminal
//	patience.go       not waiting for a function, or for input, after an interrupt
//	build.go          the version of this program
//	app.go            one run of the command line, and what it gets from the process
//	terminal.go       whether the standard streams are terminals
//	echo_unix.go      turning the echo of a terminal off, on Unix
//	echo_linux.go     the requests for that on Linux
//	echo_bsd.go       the requests for that on other Unix systems
//	echo_windows.go   the same on Windows
//	serving.go        the functions of a server, which only the program drayd links
package app
