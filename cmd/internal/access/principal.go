package access

import (
	"errors"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// What REST tells of who may ask is declared in package wire.
type (
	Role   = wire.Role
	Via    = wire.Via
	Token  = wire.Token
	Secret = wire.Secret
	Entry  = wire.Entry
)

// Roles, the least first.
const (
	Reader    = wire.Reader
	Submitter = wire.Submitter
	Admin     = wire.Admin
)

// Ways in which a principal shows who it is.
const (
	ViaToken       = wire.ViaToken
	ViaHtpasswd    = wire.ViaHtpasswd
	ViaCertificate = wire.ViaCertificate
	ViaLoopback    = wire.ViaLoopback
	ViaNothing     = wire.ViaNothing
)

// Principal is who asks. The zero Principal may nothing.
type Principal struct {
	Name  string
	Role  Role
	Via   Via
	Token string // id of the API token behind it, or ""

	until time.Time // the end of what nobody can ask about later; zero where somebody can
}

// Admin reports whether p may do everything.
func (p Principal) Admin() bool { return p.Role == Admin }

// Names that nobody can take: they are what Authenticate makes up.
const (
	Local     = "local"     // the admin at the machine
	Anonymous = "anonymous" // a Reader
)

// checkName refuses what can not stand for a principal: nothing, what does not print, and the names that are made up.
func checkName(name string) error {
	switch {
	case name == "" || len(name) > 255 || name != strings.TrimSpace(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }):
		return errors.New("a principal's name has 1 to 255 characters, none of them a line break or another control character")
	case name == Local || name == Anonymous:
		return errors.New("the name " + name + " is not to be had")
	}
	return nil
}

func denied(cause, hint string) error {
	return &fault.Fault{Kind: fault.Denied, Op: "authenticate", Hint: hint, Err: errors.New(cause)}
}
