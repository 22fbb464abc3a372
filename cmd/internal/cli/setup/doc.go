// Package setup has the commands that configure dray or print facts about it. In the order of the walk:
//
//	config.go   dray config: validate, show, schema
//	login.go    dray login and logout
//	about.go    dray version and completion
package setup
