package gates

import (
	"time"

	"github.com/drayage/dray/plan"
)

// Gate is one gate. A rule that is not set admits every image.
type Gate struct {
	Name      string
	Signature Signature
	MinAge    time.Duration // since the image was built; 0 means any
	MaxSize   int64         // bytes of all that an image consists of; 0 means any
	Platforms []string      // each must be there: "linux/arm64"
	Allow     plan.Patterns // one of them must match HOST/REPO; none allows all
	Deny      plan.Patterns // none of them may match HOST/REPO
	Referrers []string      // artifact types of documents that must refer to the image
}

// Signature says which signature an image must have. At most one of its fields is set; the zero Signature
// requires none.
type Signature struct {
	Keys     []string  // files of public keys; a signature of one of them is enough
	Keyless  *Keyless  // nil means that it is not set
	Notation *Notation // nil means that it is not set
}

// Required reports whether a signature is required.
func (s Signature) Required() bool { return len(s.Keys) > 0 || s.Keyless != nil || s.Notation != nil }

// Keyless is a signature by a certificate of Fulcio. Of Identity and IdentityRegexp one is set, and of
// Issuer and IssuerRegexp.
type Keyless struct {
	Identity, IdentityRegexp string // who signed: "https://github.com/acme/app/.github/workflows/…", or a mail address
	Issuer, IssuerRegexp     string // who says so: "https://token.actions.githubusercontent.com"
	Roots                    string // a file trusted_root.json
}

// Notation is a signature of the Notary Project.
type Notation struct {
	Store  string // a directory with truststore/x509/…, as notation keeps it
	Policy string // a file trustpolicy.json
}
