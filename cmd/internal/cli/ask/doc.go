// Package ask turns command lines and rules into requests to a server. In the order of the walk:
//
//	rules.go   mirror rules as schedules
//	ask.go     verbs as requests
package ask
