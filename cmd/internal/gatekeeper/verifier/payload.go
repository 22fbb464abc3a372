package verifier

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/drayage/dray/cmd/internal/gatekeeper/evidence"
	"github.com/drayage/dray/oci"
)

// The annotations in which cosign keeps a signature beside its payload (cosign, specs/SIGNATURE_SPEC.md).
const (
	signatureKey   = "dev.cosignproject.cosign/signature"
	certificateKey = "dev.sigstore.cosign/certificate"
	chainKey       = "dev.sigstore.cosign/chain"
	logKey         = "dev.sigstore.cosign/bundle"
	timestampKey   = "dev.sigstore.cosign/rfc3161timestamp"
)

// names checks that the payload that was signed names the image.
func names(payload []byte, image oci.Digest) error {
	var p struct {
		Critical struct {
			Type  string `json:"type"`
			Image struct {
				Digest oci.Digest `json:"docker-manifest-digest"`
			} `json:"image"`
		} `json:"critical"`
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return errors.New("what was signed is not a payload of cosign")
	}
	if p.Critical.Type != "cosign container image signature" {
		return fmt.Errorf("what was signed is of the type %q", p.Critical.Type)
	}
	if p.Critical.Image.Digest != image {
		return fmt.Errorf("it is a signature of another image, %s", p.Critical.Image.Digest)
	}
	return nil
}

// bundleOf returns a signature of a digest tag in the form of a bundle. A log entry is added only if it
// counts: it is not needed for a key.
func bundleOf(sig evidence.Signature, withLog bool) (*bundle.Bundle, error) {
	raw, err := base64.StdEncoding.DecodeString(sig.Annotations[signatureKey])
	if err != nil || len(raw) == 0 {
		return nil, errors.New("it has no signature in its annotations")
	}
	material, err := materialOf(sig.Annotations)
	if err != nil {
		return nil, err
	}
	if text := sig.Annotations[logKey]; text != "" && withLog {
		entry, err := entryOf(text)
		if err != nil {
			return nil, err
		}
		material.TlogEntries = []*protorekor.TransparencyLogEntry{entry}
	}
	if text := sig.Annotations[timestampKey]; text != "" {
		var stamp struct{ SignedRFC3161Timestamp []byte }
		if err := json.Unmarshal([]byte(text), &stamp); err != nil {
			return nil, errors.New("its timestamp cannot be read")
		}
		material.TimestampVerificationData = &protobundle.TimestampVerificationData{
			Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: stamp.SignedRFC3161Timestamp}},
		}
	}
	sum := sha256.Sum256(sig.Raw)
	return bundle.NewBundle(&protobundle.Bundle{
		MediaType:            "application/vnd.dev.sigstore.bundle+json;version=0.1",
		VerificationMaterial: material,
		Content: &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
			MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: sum[:]},
			Signature:     raw,
		}},
	})
}

// materialOf returns the certificate of a signature, with those in between, or else a key without a name.
func materialOf(notes map[string]string) (*protobundle.VerificationMaterial, error) {
	if notes[certificateKey] == "" {
		return &protobundle.VerificationMaterial{
			Content: &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{}},
		}, nil
	}
	chain := &protocommon.X509CertificateChain{}
	for _, key := range []string{certificateKey, chainKey} {
		certs, err := cryptoutils.UnmarshalCertificatesFromPEM([]byte(notes[key]))
		if err != nil {
			return nil, fmt.Errorf("its certificate cannot be read: %w", err)
		}
		for _, c := range certs {
			if c.CheckSignatureFrom(c) == nil {
				continue // a root is trusted only if the roots have it
			}
			chain.Certificates = append(chain.Certificates, &protocommon.X509Certificate{RawBytes: c.Raw})
		}
	}
	return &protobundle.VerificationMaterial{
		Content: &protobundle.VerificationMaterial_X509CertificateChain{X509CertificateChain: chain},
	}, nil
}

// entryOf returns the entry of a Rekor log that cosign keeps in an annotation.
func entryOf(text string) (*protorekor.TransparencyLogEntry, error) {
	var e struct {
		SignedEntryTimestamp []byte
		Payload              struct {
			Body           []byte `json:"body"`
			IntegratedTime int64  `json:"integratedTime"`
			LogIndex       int64  `json:"logIndex"`
			LogID          string `json:"logID"`
		}
	}
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return nil, errors.New("its log entry cannot be read")
	}
	id, err := hex.DecodeString(e.Payload.LogID)
	if err != nil {
		return nil, errors.New("its log entry has no valid log ID")
	}
	var body struct {
		Kind    string `json:"kind"`
		Version string `json:"apiVersion"`
	}
	if err := json.Unmarshal(e.Payload.Body, &body); err != nil {
		return nil, errors.New("the body of its log entry cannot be read")
	}
	return &protorekor.TransparencyLogEntry{
		LogIndex:          e.Payload.LogIndex,
		LogId:             &protocommon.LogId{KeyId: id},
		KindVersion:       &protorekor.KindVersion{Kind: body.Kind, Version: body.Version},
		IntegratedTime:    e.Payload.IntegratedTime,
		InclusionPromise:  &protorekor.InclusionPromise{SignedEntryTimestamp: e.SignedEntryTimestamp},
		CanonicalizedBody: e.Payload.Body,
	}, nil
}
