// Package evidence has what dray and drayd say to each other about the signatures of an image. dray writes
// a Request to the standard input of drayd verify-signatures, which answers with an Answer on its standard
// output. The types have no behavior.
package evidence

import "github.com/drayage/dray/oci"

// Version is that of the format. Each side refuses another one.
const Version = 1

// Command is the command of drayd that verifies.
const Command = "verify-signatures"

// MaxRequest is the largest request, in bytes.
const MaxRequest = 64 << 20

// Request asks whether an image has a signature that is trusted.
type Request struct {
	Version    int            `json:"version"`
	Repository string         `json:"repository"` // HOST/REPO, for policies that depend on it
	Image      oci.Descriptor `json:"image"`      // the media type, digest and size of what would move
	Trust      Trust          `json:"trust"`
	Signatures []Signature    `json:"signatures"`
}

// Trust says whom to trust. One of its fields is set.
type Trust struct {
	Keys     []string  `json:"keys,omitempty"` // public keys in PEM; one of them is enough
	Keyless  *Keyless  `json:"keyless,omitempty"`
	Notation *Notation `json:"notation,omitempty"`
}

// Keyless trusts certificates of Fulcio for one identity.
type Keyless struct {
	Identity       string `json:"identity,omitempty"`
	IdentityRegexp string `json:"identityRegexp,omitempty"`
	Issuer         string `json:"issuer,omitempty"`
	IssuerRegexp   string `json:"issuerRegexp,omitempty"`
	Roots          []byte `json:"roots"` // trusted_root.json
}

// Notation trusts what a trust policy of the Notary Project says.
type Notation struct {
	Store  string `json:"store"`  // the directory that holds truststore/
	Policy []byte `json:"policy"` // trustpolicy.json
}

// Signature is one signature, with the bytes that the source has for it.
type Signature struct {
	From        string            `json:"from"`      // the digest of the document that it comes from
	MediaType   string            `json:"mediaType"` // of Raw
	Annotations map[string]string `json:"annotations,omitempty"`
	Raw         []byte            `json:"raw"`
}

// The media types of signatures.
const (
	TypePayload = "application/vnd.dev.cosign.simplesigning.v1+json" // what cosign signs; the signature is an annotation
	TypeBundle  = "application/vnd.dev.sigstore.bundle"              // how the types of sigstore's bundles begin
	TypeJWS     = "application/jose+json"                            // of notation
	TypeCOSE    = "application/cose"                                 // of notation
)

// Answer is the answer to a Request.
type Answer struct {
	Version int        `json:"version"`
	Image   oci.Digest `json:"image"`           // that of the request
	By      string     `json:"by,omitempty"`    // who signed; "" means that no signature is trusted
	Found   []string   `json:"found,omitempty"` // why each signature is not trusted
}
