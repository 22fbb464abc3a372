package wire

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"time"
)

// Role limits which requests a principal may make. The rules limit further which registries and
// repositories these requests may name.
type Role string

// The roles, from the one that allows least to the one that allows most.
const (
	Reader    Role = "reader"    // may make requests that only read, and watch its own jobs
	Submitter Role = "submitter" // may also submit requests that write, if a rule grants them
	Admin     Role = "admin"     // may make every request and see every job; no rule is checked
)

var ranks = map[Role]int{Reader: 1, Submitter: 2, Admin: 3}

// Known reports whether r is one of the roles above.
func (r Role) Known() bool { return ranks[r] > 0 }

// Covers reports whether r may make every request that least may make. No role covers an unknown
// least.
func (r Role) Covers(least Role) bool { return ranks[r] >= ranks[least] && ranks[least] > 0 }

// Via says how a principal proved its identity.
type Via string

// The ways to prove an identity. ViaNothing is the absence of a proof.
const (
	ViaToken       Via = "token"
	ViaHtpasswd    Via = "htpasswd"
	ViaCertificate Via = "certificate"
	ViaLoopback    Via = "loopback"  // no users or tokens exist, and the request came from the same machine
	ViaNothing     Via = "anonymous" // the request has no credentials, and a rule names "anonymous"
)

// Whoami is the principal that the server recognizes in a request.
type Whoami struct {
	Name    string `json:"name"`
	Role    Role   `json:"role"`
	Via     Via    `json:"via"`
	Version string `json:"version,omitempty" doc:"version of the server"`
}

// Token is an API token without its secret.
type Token struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"` // a label that people choose; it grants nothing
	Principal string    `json:"principal"`
	Role      Role      `json:"role"`
	By        string    `json:"by"` // the principal that created the token
	Created   time.Time `json:"created"`
	Expires   time.Time `json:"expires"`
	Revoked   time.Time `json:"revoked,omitzero"`
	Used      time.Time `json:"used,omitzero"` // the last use; recorded at most once an hour
}

// NewToken is a request to create a token.
type NewToken struct {
	Name      string    `json:"name,omitempty" maxLength:"255" doc:"a label for people, without characters that are not seen"`
	Principal string    `json:"principal" minLength:"1" maxLength:"255" doc:"the principal that the token authenticates: letters, digits, signs, and blanks between them, but no character that is not seen"`
	Role      Role      `json:"role" enum:"reader,submitter,admin"`
	Expires   time.Time `json:"expires,omitzero" doc:"when the token expires, at most 366 days from now; default: in 90 days"`
}

// MadeToken is a new token with its secret. No other answer contains the secret.
type MadeToken struct {
	Token
	Secret string `json:"secret" doc:"the token's secret; it is shown only in this answer"`
}

// Secret describes a stored login, without the login itself.
type Secret struct {
	ID      string    `json:"id"`    // a name that people choose
	Place   string    `json:"place"` // "HOST" or "HOST/PATH": the login is sent only there
	By      string    `json:"by"`
	Created time.Time `json:"created"`
	Changed time.Time `json:"changed"`
}

// PutSecret is a request to store a login for a registry, or for a part of one.
type PutSecret struct {
	Place    string `json:"place" minLength:"1" doc:"HOST or HOST/PATH; HOST may be the name of a configured registry; the login is sent only there"`
	Scheme   string `json:"scheme,omitempty" enum:"basic,refresh,bearer,exchange"`
	User     string `json:"user,omitempty"`
	Password string `json:"password" minLength:"1" writeOnly:"true"`
}

// Entry is one entry of the audit log. It says which principal did what, and which digest a name
// had before and after.
type Entry struct {
	Seq       int64     `json:"seq"`
	At        time.Time `json:"at"`
	Principal string    `json:"principal"`
	Verb      string    `json:"verb"`
	Source    string    `json:"source"` // a digest, or a name with a digest
	Target    string    `json:"target"`
	Old       string    `json:"old"` // a digest; "" if the name did not exist
	New       string    `json:"new"`
	Prev      string    `json:"prev"` // Hash of the previous entry; "" in the first one
	Hash      string    `json:"hash"`
}

// Head is the last entry of the audit log at some time, signed by the server with a key that is not in its database. It
// fixes this entry and all entries before it, because each has the hash of the one before.
type Head struct {
	Seq       int64     `json:"seq"` // of the entry; 0 if the log is empty
	Hash      string    `json:"hash"`
	At        time.Time `json:"at"`              // when the head was signed
	Key       string    `json:"key"`             // the public Ed25519 key (RFC 8032), in base64
	Signature string    `json:"signature"`       // of Text, in base64
	Older     []string  `json:"older,omitempty"` // the public keys of the server's older keys, which signed earlier heads
}

// Text returns what the signature of h signs: a line with the purpose, then Seq, Hash and At (RFC 3339, UTC, in
// milliseconds), each on its own line.
func (h Head) Text() []byte {
	at := h.At.UTC().Format("2006-01-02T15:04:05.000Z")
	return fmt.Appendf(nil, "dray audit head 1\n%d\n%s\n%s\n", h.Seq, h.Hash, at)
}

// Signed reports whether the signature is that of Key.
func (h Head) Signed() bool {
	key, err := base64.StdEncoding.DecodeString(h.Key)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return false
	}
	signature, err := base64.StdEncoding.DecodeString(h.Signature)
	return err == nil && ed25519.Verify(key, h.Text(), signature)
}

// Verdict is the result of verifying the audit log. Whole is true if no entry was changed or removed.
type Verdict struct {
	Whole   bool   `json:"whole"`
	Problem string `json:"problem,omitempty"`
}
