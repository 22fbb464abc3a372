package wire

import "time"

// Role bounds what a principal may ask for at all; the rules say where.
type Role string

const (
	Reader    Role = "reader"    // looks, and watches its own jobs
	Submitter Role = "submitter" // also submits what writes, where a rule grants it
	Admin     Role = "admin"     // everything, everywhere, everybody's jobs; no rule is asked
)

var ranks = map[Role]int{Reader: 1, Submitter: 2, Admin: 3}

// Known reports whether r is one of them.
func (r Role) Known() bool { return ranks[r] > 0 }

// Covers reports whether r may do what least may.
func (r Role) Covers(least Role) bool { return ranks[r] >= ranks[least] && ranks[least] > 0 }

// Via is the way in which a principal showed who it is.
type Via string

const (
	ViaToken       Via = "token"
	ViaHtpasswd    Via = "htpasswd"
	ViaCertificate Via = "certificate"
	ViaLoopback    Via = "loopback"  // nobody is configured, and the request came from this machine
	ViaNothing     Via = "anonymous" // no credentials, where a rule names "anonymous"
)

// Whoami is who a request comes from.
type Whoami struct {
	Name    string `json:"name"`
	Role    Role   `json:"role"`
	Via     Via    `json:"via"`
	Version string `json:"version,omitempty" doc:"of the server"`
}

// Token is an API token without its secret.
type Token struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"` // for people
	Principal string    `json:"principal"`
	Role      Role      `json:"role"`
	By        string    `json:"by"` // the principal who made it
	Created   time.Time `json:"created"`
	Expires   time.Time `json:"expires"`
	Revoked   time.Time `json:"revoked,omitzero"`
	Used      time.Time `json:"used,omitzero"` // last use, to the hour
}

// NewToken asks for a token.
type NewToken struct {
	Name      string    `json:"name,omitempty" maxLength:"255" doc:"for people"`
	Principal string    `json:"principal" minLength:"1" maxLength:"255" doc:"who it is for"`
	Role      Role      `json:"role" enum:"reader,submitter,admin"`
	Expires   time.Time `json:"expires,omitzero" doc:"in 90 days when left out; 366 at most"`
}

// MadeToken is a token with its secret, which is shown once.
type MadeToken struct {
	Token
	Secret string `json:"secret" doc:"shown here, and never again"`
}

// Secret is a stored login without the login.
type Secret struct {
	ID      string    `json:"id"`    // the name that people give it
	Place   string    `json:"place"` // "HOST" or "HOST/PATH": the only place that is shown it
	By      string    `json:"by"`
	Created time.Time `json:"created"`
	Changed time.Time `json:"changed"`
}

// PutSecret is a login for a registry, or a part of one.
type PutSecret struct {
	Place    string `json:"place" minLength:"1" doc:"HOST or HOST/PATH: the only place that is shown it"`
	Scheme   string `json:"scheme,omitempty" enum:"basic,refresh,bearer,exchange"`
	User     string `json:"user,omitempty"`
	Password string `json:"password" minLength:"1" writeOnly:"true"`
}

// Entry is one line of the audit log: who did what, and what a name held before and after.
type Entry struct {
	Seq       int64     `json:"seq"`
	At        time.Time `json:"at"`
	Principal string    `json:"principal"`
	Verb      string    `json:"verb"`
	Source    string    `json:"source"` // a digest, or a name with one
	Target    string    `json:"target"`
	Old       string    `json:"old"` // a digest; "" when there was none
	New       string    `json:"new"`
	Prev      string    `json:"prev"` // Hash of the entry before; "" in the first
	Hash      string    `json:"hash"`
}

// Verdict says whether the audit log is whole.
type Verdict struct {
	Whole   bool   `json:"whole"`
	Problem string `json:"problem,omitempty"`
}
