package verb

import (
	"encoding/json"
	"errors"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/name"
)

// row is the stored form of a request. It contains no logins.
type row struct {
	wire.Request
	Words   name.Words        `json:"words,omitempty"`   // of the interface that it was submitted with
	Role    access.Role       `json:"role"`              // the role of the principal that submitted it
	Via     access.Via        `json:"via"`               // how that principal was authenticated
	Inline  []string          `json:"inline,omitempty"`  // "source" and "target" if a login for them came with the request; see secret
	Hosts   map[string]string `json:"hosts,omitempty"`   // what names of registries meant where the job was accepted; see pool.Placement
	Default string            `json:"default,omitempty"` // the registry of an import that names none, likewise
	Failed  bool              `json:"failed,omitempty"`  // whether to repeat only the failed steps of the job's parent
}

// secret is the part of a request that is sealed and stored separately.
type secret struct {
	Source *wire.Login `json:"source,omitempty"`
	Target *wire.Login `json:"target,omitempty"`
	File   []byte      `json:"file,omitempty"` // of an uploaded plan, of a job of an earlier version; see Upload
}

// splitLogins splits r into a copy without logins and the secret part. It does not change r.
func splitLogins(r wire.Request) (wire.Request, secret, error) {
	var bare wire.Request
	raw, err := json.Marshal(r)
	if err == nil {
		err = json.Unmarshal(raw, &bare)
	}
	if err != nil {
		return bare, secret{}, &fault.Fault{Kind: fault.Internal, Op: "store request", Err: err}
	}
	var s secret
	into := []**wire.Login{&s.Source, &s.Target}
	for i, at := range logins(&bare) {
		if at != nil {
			*into[i], *at = *at, nil
		}
	}
	return bare, s, nil
}

// join puts logins back into r.
func join(r *wire.Request, s secret) {
	from := []*wire.Login{s.Source, s.Target}
	for i, at := range logins(r) {
		if at != nil && from[i] != nil {
			*at = from[i]
		}
	}
}

// logins returns the places of r that hold the login for the source and the login for the target, in
// this order. A nil place means that the request has no such login.
func logins(r *wire.Request) []**wire.Login {
	switch {
	case r.Import != nil:
		return []**wire.Login{&r.Import.SourceLogin, &r.Import.TargetLogin}
	case r.Copy != nil:
		return []**wire.Login{&r.Copy.SourceLogin, &r.Copy.TargetLogin}
	case r.Tag != nil:
		return []**wire.Login{nil, &r.Tag.Login}
	case r.Batch != nil:
		return []**wire.Login{&r.Batch.SourceLogin, &r.Batch.TargetLogin}
	case r.Transfer != nil:
		return []**wire.Login{&r.Transfer.SourceLogin, &r.Transfer.TargetLogin}
	case r.Apply != nil:
		return []**wire.Login{&r.Apply.SourceLogin, &r.Apply.TargetLogin}
	case r.Verify != nil:
		return []**wire.Login{&r.Verify.SourceLogin, &r.Verify.TargetLogin}
	case r.Plan != nil:
		of := r.Plan.Of()
		return logins(&of)
	}
	return nil
}

func (s secret) inline() []string {
	var sides []string
	if s.Source != nil {
		sides = append(sides, string(fault.Source))
	}
	if s.Target != nil {
		sides = append(sides, string(fault.Target))
	}
	return sides
}

// seal returns s as JSON, which the queue encrypts. It returns nil if s is empty.
func (s secret) seal() ([]byte, error) {
	if s.Source == nil && s.Target == nil {
		return nil, nil
	}
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Internal, Op: "store logins",
			Err: errors.New("the logins cannot be written as JSON")}
	}
	return raw, nil
}

func unseal(raw []byte) (secret, error) {
	var s secret
	if len(raw) == 0 {
		return s, nil
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, &fault.Fault{Kind: fault.Internal, Op: "read logins",
			Err: errors.New("the stored logins are not valid JSON")}
	}
	return s, nil
}

// loginOf converts l to the login that is presented to registries. It returns nil if l is nil.
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
