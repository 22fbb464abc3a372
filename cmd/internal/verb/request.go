// Package verb makes every verb of dray a job: requests as JSON, in the words of package dray,
// who may make them, and the runner that carries them out.
//
// A request is held against the rules twice: when it is submitted, and again when it runs, which
// may be much later. Logins that a request brings are taken out of it and sealed apart: what is
// stored, listed and told holds none.
package verb

import (
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
)

// row is a Request as it is stored with its job: without logins.
type row struct {
	wire.Request
	Role   access.Role `json:"role"`             // of who submitted it
	Via    access.Via  `json:"via"`              // how they showed who they are
	Inline []string    `json:"inline,omitempty"` // "source", "target": logins that came with it, sealed apart
	Failed bool        `json:"failed,omitempty"` // only what failed of the job's parent
}

// loginOf is l as registries are shown it; nil for nil.
func loginOf(l *wire.Login) *credential.Login {
	if l == nil {
		return nil
	}
	scheme := credential.Scheme(l.Scheme)
	if l.Scheme == "basic" {
		scheme = credential.Basic
	}
	return &credential.Login{Scheme: scheme, User: l.User, Password: credential.New(l.Password), From: "request"}
}
