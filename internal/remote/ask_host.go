package remote

// host is one registry host to ask: its connections, and who signs requests in.
type host struct {
	*line
	*desk
}

// newHost joins a connection and its desk.
func newHost(l *line, d *desk) *host { return &host{l, d} }
