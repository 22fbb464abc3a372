package verifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/notaryproject/notation-core-go/revocation"
	"github.com/notaryproject/notation-core-go/revocation/crl"
	"github.com/notaryproject/notation-core-go/revocation/purpose"
	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/dir"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"

	"github.com/drayage/dray/cmd/internal/gatekeeper/evidence"
)

// byPolicy trusts what a trust policy of the Notary Project says. A policy that does not verify is no pass.
func byPolicy(r evidence.Request) (check, error) {
	var policy trustpolicy.Document
	if err := json.Unmarshal(r.Trust.Notation.Policy, &policy); err != nil {
		return nil, fmt.Errorf("the trust policy cannot be read: %w", err)
	}
	var options verifier.VerifierOptions
	var err error
	if options.RevocationCodeSigningValidator, err = offline(purpose.CodeSigning); err != nil {
		return nil, err
	}
	if options.RevocationTimestampingValidator, err = offline(purpose.Timestamping); err != nil {
		return nil, err
	}
	store := truststore.NewX509TrustStore(dir.NewSysFS(r.Trust.Notation.Store))
	v, err := verifier.NewWithOptions(&policy, store, nil, options)
	if err != nil {
		return nil, fmt.Errorf("the trust policy cannot be used: %w", err)
	}
	return func(ctx context.Context, s evidence.Signature) (string, error) {
		outcome, err := v.Verify(ctx, r.Image, s.Raw, notation.VerifierVerifyOptions{
			ArtifactReference:  reference(r),
			SignatureMediaType: s.MediaType,
		})
		if err != nil {
			return "", err
		}
		return signer(outcome)
	}, nil
}

// signer returns who signed. The error says that the policy did not verify who it was.
func signer(outcome *notation.VerificationOutcome) (string, error) {
	if outcome.VerificationLevel == nil || outcome.VerificationLevel.Name == trustpolicy.LevelSkip.Name {
		return "", errors.New("the trust policy skips the verification")
	}
	authentic := false
	for _, result := range outcome.VerificationResults {
		if result.Type == trustpolicy.TypeAuthenticity {
			if result.Error != nil {
				return "", result.Error // the level audit only logs it
			}
			authentic = true
		}
	}
	if !authentic || outcome.EnvelopeContent == nil || len(outcome.EnvelopeContent.SignerInfo.CertificateChain) == 0 {
		return "", errors.New("the trust policy did not verify who signed")
	}
	return outcome.EnvelopeContent.SignerInfo.CertificateChain[0].Subject.String(), nil
}

// reference returns the image as a trust policy names it. What is not at a registry has a name that only
// the scope "*" covers.
func reference(r evidence.Request) string {
	repo := r.Repository
	if host, _, ok := strings.Cut(repo, "/"); !ok || strings.HasPrefix(host, "oci:") || strings.Contains(repo, ":/") {
		repo = "local.invalid/layout"
	}
	return repo + "@" + string(r.Image.Digest)
}

// offline returns a check of revocations that asks nobody. A certificate that names a list of revocations
// is then of unknown state, and the policy decides what that means.
func offline(of purpose.Purpose) (revocation.Validator, error) {
	client := &http.Client{Transport: refusing{}}
	fetcher, err := crl.NewHTTPFetcher(client)
	if err != nil {
		return nil, err
	}
	return revocation.NewWithOptions(revocation.Options{OCSPHTTPClient: client, CRLFetcher: fetcher, CertChainPurpose: of})
}

// refusing sends no request.
type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("dray asks nobody about revocations; " +
		"set the verification of revocation to log or skip in the trust policy")
}
