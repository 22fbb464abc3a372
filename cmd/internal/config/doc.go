// Package config reads dray's configuration: one YAML file, taken strictly.
//
// Whatever the file says is either understood or refused with the line where it stands: unknown
// and repeated keys, wrong types, bad hosts, half a pair of keys. Nothing that a key names is
// opened here: certificates and secrets are read where they are used. docs/config.md is the
// description for people, testdata/example.yaml an example with every key. Files of mirror rules,
// lists of images and maps of tags are read here too, in the same way.
//
// In the order of the walk:
//
//	settings.go      what it says, value by value
//	load.go          where the file is, and what reads it
//	parse.go         its registries and rules
//	config.go        its content
//	server.go        what it says to a server
//	client.go        what it says of the server that is asked
//	credentials.go   where a registry's login is
//	mirrors.go       a file of mirror rules
//	mirrorkeys.go    one rule, key by key
//	tagmap.go        a map of tags
//	list.go          a list of images
//	read.go          files and variables, and texts line by line
//	node.go          values of YAML
//	parser.go        what reads a file, and how it says where something is wrong
package config
