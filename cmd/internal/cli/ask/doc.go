// Package ask is what was typed, as the requests that a server takes. In the order of the walk:
//
//	rules.go   rules of mirror as schedules
//	ask.go     verbs as requests
package ask
