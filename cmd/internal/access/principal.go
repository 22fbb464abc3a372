package access

import (
	"errors"
	"time"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// These types are declared in package wire, because the REST API shows them.
type (
	// Role limits which requests a principal may make.
	Role = wire.Role
	// Via says how a principal proved its identity.
	Via = wire.Via
	// Token is an API token without its secret.
	Token = wire.Token
	// Secret describes a stored login, without the login itself.
	Secret = wire.Secret
	// Entry is one entry of the audit log.
	Entry = wire.Entry
)

// The roles, the lowest first.
const (
	Reader    = wire.Reader
	Submitter = wire.Submitter
	Admin     = wire.Admin
)

// The ways in which a principal proves its identity.
const (
	ViaToken       = wire.ViaToken
	ViaHtpasswd    = wire.ViaHtpasswd
	ViaCertificate = wire.ViaCertificate
	ViaLoopback    = wire.ViaLoopback
	ViaNothing     = wire.ViaNothing
)

// Principal is the authenticated sender of a request. The zero Principal may do nothing.
type Principal struct {
	Name  string
	Role  Role
	Via   Via
	Token string // the id of its API token, or ""

	// until is the end of a client certificate. A session of Issue must not outlast it, because a
	// certificate cannot be checked again later. It is zero for other principals.
	until time.Time
}

// Admin reports whether p may do everything.
func (p Principal) Admin() bool { return p.Role == Admin }

// The reserved names of principals. Only Authenticate gives them.
const (
	Local     = "local"     // the admin on a server's own machine, see Config.Loopback
	Anonymous = "anonymous" // a Reader without credentials
)

// checkName returns an error for a name that no principal may have: one that does not fit the grammar, and the
// reserved names.
func checkName(name string) error {
	if name == Local || name == Anonymous {
		return errors.New("the name " + name + " is reserved")
	}
	return wire.CheckPrincipalName(name)
}

func denied(cause, hint string) error {
	return &fault.Fault{Kind: fault.Denied, Op: "authenticate", Hint: hint, Err: errors.New(cause)}
}
