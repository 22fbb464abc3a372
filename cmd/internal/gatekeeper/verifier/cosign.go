package verifier

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/drayage/dray/cmd/internal/gatekeeper/evidence"
)

// signPredicate is the type of the statements in which cosign signs an image. Statements of other types,
// such as the result of a scan, say something about an image, and do not approve it.
const signPredicate = "https://sigstore.dev/cosign/sign/v1"

// sigstore verifies what cosign signs.
type sigstore struct {
	request  evidence.Request
	verifier *verify.Verifier
	policy   verify.PolicyOption
	withLog  bool // the log entry of a signature in a digest tag counts
}

// byKeys trusts signatures of public keys. A signature of a key does not expire, and needs no log.
func byKeys(r evidence.Request) (check, error) {
	var all []sigstore
	for _, text := range r.Trust.Keys {
		public, err := cryptoutils.UnmarshalPEMToPublicKey([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("the public key cannot be read: %w", err)
		}
		v, err := signature.LoadVerifier(public, crypto.SHA256)
		if err != nil {
			return nil, fmt.Errorf("the public key cannot be used: %w", err)
		}
		key := root.NewExpiringKey(v, time.Time{}, time.Time{})
		trusted := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) { return key, nil })
		s := sigstore{request: r, policy: verify.WithKey()}
		if s.verifier, err = verify.NewVerifier(trusted, verify.WithNoObserverTimestamps()); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return func(_ context.Context, sig evidence.Signature) (string, error) {
		var first error
		for _, s := range all {
			_, err := s.check(sig)
			if err == nil {
				return "a trusted key", nil
			}
			first = cmp.Or(first, err)
		}
		return "", first
	}, nil
}

// byIdentity trusts certificates of Fulcio for one identity. The roots decide what else is required: an
// entry of a Rekor log if they have one, else a signed timestamp, and a promise of a certificate log if
// they have one.
func byIdentity(r evidence.Request) (check, error) {
	k := r.Trust.Keyless
	trusted, err := root.NewTrustedRootFromJSON(k.Roots)
	if err != nil {
		return nil, fmt.Errorf("the roots cannot be read: %w", err)
	}
	id, err := verify.NewShortCertificateIdentity(k.Issuer, k.IssuerRegexp, k.Identity, k.IdentityRegexp)
	if err != nil {
		return nil, fmt.Errorf("the identity cannot be used: %w", err)
	}
	s := sigstore{request: r, policy: verify.WithCertificateIdentity(id), withLog: len(trusted.RekorLogs()) > 0}
	options := []verify.VerifierOption{verify.WithSignedTimestamps(1)}
	if s.withLog {
		options = []verify.VerifierOption{verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1)}
	}
	if len(trusted.CTLogs()) > 0 {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	if s.verifier, err = verify.NewVerifier(trusted, options...); err != nil {
		return nil, err
	}
	return func(_ context.Context, sig evidence.Signature) (string, error) {
		result, err := s.check(sig)
		if err != nil {
			return "", err
		}
		if result.Signature == nil || result.Signature.Certificate == nil {
			return "", errors.New("it has no certificate")
		}
		return result.Signature.Certificate.SubjectAlternativeName, nil
	}, nil
}

// check verifies that a signature is trusted, and that it is over exactly the image.
func (s sigstore) check(sig evidence.Signature) (*verify.VerificationResult, error) {
	if sig.MediaType == evidence.TypePayload {
		if err := names(sig.Raw, s.request.Image.Digest); err != nil {
			return nil, err
		}
		b, err := bundleOf(sig, s.withLog)
		if err != nil {
			return nil, err
		}
		return s.verifier.Verify(b, verify.NewPolicy(verify.WithArtifact(bytes.NewReader(sig.Raw)), s.policy))
	}
	if !strings.HasPrefix(sig.MediaType, evidence.TypeBundle) {
		return nil, fmt.Errorf("a signature of the type %s is not one of cosign", sig.MediaType)
	}
	var b bundle.Bundle
	if err := b.UnmarshalJSON(sig.Raw); err != nil {
		return nil, fmt.Errorf("the bundle cannot be read: %w", err)
	}
	digest := s.request.Image.Digest
	sum, err := hex.DecodeString(digest.Encoded())
	if err != nil {
		return nil, err
	}
	artifact := verify.WithArtifactDigest(digest.Algorithm().String(), sum)
	result, err := s.verifier.Verify(&b, verify.NewPolicy(artifact, s.policy))
	if err == nil && result.Statement != nil && result.Statement.PredicateType != signPredicate {
		err = fmt.Errorf("it is a statement of the type %s, not a signature", result.Statement.PredicateType)
	}
	return result, err
}
