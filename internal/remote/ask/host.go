package ask

import (
	"github.com/drayage/dray/internal/remote/signin"
	"github.com/drayage/dray/internal/remote/wire"
)

// Host is one registry host to ask: its connections, and who signs requests in.
type Host struct {
	*wire.Host
	*signin.Desk
}

// New joins a connection and its desk.
func New(l *wire.Host, d *signin.Desk) *Host { return &Host{l, d} }
