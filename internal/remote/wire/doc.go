// Package wire makes one exchange with a registry over HTTP: a Call goes out under the
// limits of its Host, redirects are followed, a watchdog looks on, and an Answer comes back.
// Who asks is for signin, and asking again for ask.
//
// Nothing inside is reached by a redirect, and no login leaves its registry's origin.
//
// Files, in the order of the walk:
//
//	exchange.go  a place among the others, one request, where it leads
//	request.go   one request and its answer, and what that teaches of limits
//	refusal.go   what an answer that was not hoped for means
//	open.go      a host is opened: its transports and certificates
//	origin.go    its scheme, and connections that are dialled before they are needed
//	dial.go      dialling the registry, and what it points to
//	redirect.go  where a Location or a Link leads
//	host.go      Host: what is known of one
//	circuit.go   whether it answers at all
//	address.go   which addresses are inside
//	conn.go      connections that wait for a body; bodies in large pieces
//	body.go      bodies on their way, the watchdog, the event of an exchange
//	call.go      Call and Answer
//	access.go    Access: whose login, for what
package wire
