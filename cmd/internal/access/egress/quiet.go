package egress

import (
	"errors"
	"net"
)

// quiet is a connection whose errors contain no address.
type quiet struct{ net.Conn }

func (q *quiet) Read(p []byte) (int, error) {
	n, err := q.Conn.Read(p)
	return n, unaddressed(err)
}

func (q *quiet) Write(p []byte) (int, error) {
	n, err := q.Conn.Write(p)
	return n, unaddressed(err)
}

// unaddressed returns err without the addresses of both ends and of the DNS server. The error keeps its types.
func unaddressed(err error) error {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok {
		return err
	}
	bare := *op
	bare.Source, bare.Addr = nil, nil
	if dns, ok := errors.AsType[*net.DNSError](op.Err); ok {
		lookup := *dns
		lookup.Server = ""
		switch { // otherwise the text may have both ends of a connection to the DNS server
		case dns.IsNotFound:
		case dns.IsTimeout:
			lookup.Err = "the DNS server does not answer"
		default:
			lookup.Err = "the DNS server gives no answer about this name"
		}
		bare.Err = &lookup
	}
	return &bare
}
