// Package wire makes one exchange with a registry over HTTP. A Call is sent within the limits of
// its Host, redirects are followed, a watchdog ends an exchange that makes no progress, and an
// Answer is returned. Package signin chooses the credentials, and package ask repeats requests.
//
// A redirect never reaches an internal address, unless the registry itself has an address of that
// kind. A login never leaves the origin of its registry.
//
// Files, in the order of the walk:
//
//	exchange.go  waiting for a free place, sending, following redirects
//	request.go   one request and its answer, and what the answer says about limits
//	refusal.go   turning an unexpected answer, or an exchange that broke, into an error
//	open.go      setting up a host: its transports and certificates
//	origin.go    its scheme, and connections that are dialed before they are needed
//	dial.go      dialing the registry, the hosts that it redirects to, and proxies
//	redirect.go  where a Location or a Link leads
//	host.go      Host: what is known about one host
//	address.go   public, private and other kinds of addresses
//	conn.go      connections that wait for a body; bodies in large pieces
//	coding.go    bodies that are compressed, or that only claim to be
//	body.go      bodies in transfer, the watchdog, the event of an exchange
//	call.go      Call and Answer
//	access.go    Access: a login, and the scopes of its tokens
package wire
