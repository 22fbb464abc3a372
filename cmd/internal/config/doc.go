// Package config reads dray's configuration, which is one YAML file. It also reads files of mirror
// rules, lists of images and maps of tags.
//
// The reading is strict. An unknown or repeated key, a wrong type, a bad host or half a pair of keys
// is an error that names the line. The package does not open the files that a key names: certificates
// and secrets are read where they are used. docs/config.md describes the file for users, and
// testdata/example.yaml is an example with every key.
//
// The files, in the order of the walk:
//
//	load.go          Loader: the path of the file, and how it is loaded; its JSON Schema
//	parse.go         the keys of the file, of a registry and of a rule of the policy
//	config.go        Config and Registry: the content of the file
//	server.go        Server: the settings of dray serve and dray worker
//	storage.go       where a server stores the content of its registry
//	client.go        Client: the server that runs the jobs of the command line
//	credentials.go   Credentials: where the login of a registry comes from
//	list.go          a list of images
//	mirrors.go       a file of mirror rules
//	mirrorkeys.go    Mirror: one mirror rule, and its keys
//	tagmap.go        a map of tags to new names
//	node.go          the values of YAML: text, numbers, lists, hosts, paths and so on
//	parser.go        the parser of one file, and its errors with line numbers
package config
