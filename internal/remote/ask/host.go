package ask

import (
	"github.com/drayage/dray/internal/remote/signin"
	"github.com/drayage/dray/internal/remote/wire"
)

// Host is one registry host: its connections, and the desk that logs requests in.
type Host struct {
	*wire.Host
	*signin.Desk
}

// New returns a Host that uses the connections l and the login desk d.
func New(l *wire.Host, d *signin.Desk) *Host { return &Host{l, d} }
