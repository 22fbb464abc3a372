// Package relay passes requests for a configured registry on to it. A client asks the server under a name that the
// server has for the registry; the server holds the request to the rules, writes changes to the audit log, and sends it
// with its own login. The login of the client never leaves the server, and the client sees neither a redirect nor the
// address of an upload: both may contain secrets of the registry.
//
// The files, in the order of the walk:
//
//	relay.go    New: the handler of one registry
//	v2.go       the distribution API
//	handler.go  Config, and what the files above share
//	shelf.go    what the data plane of Azure's registries says of the registry
package relay
