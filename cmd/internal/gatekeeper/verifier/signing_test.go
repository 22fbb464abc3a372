package verifier_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	core "github.com/notaryproject/notation-core-go/signature"
	_ "github.com/notaryproject/notation-core-go/signature/cose"
	"github.com/notaryproject/notation-core-go/signature/jws"
	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/signer"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/drayage/dray/cmd/internal/gatekeeper/evidence"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
)

// bench is a source with one image, which tests sign in many ways.
type bench struct {
	*yard.Yard
	image v1.Descriptor
}

func newBench(t *testing.T) bench {
	t.Helper()
	y := yard.New(t)
	return bench{y, testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{}).Root}
}

func must[V any](v V, err error) func(*testing.T) V {
	return func(t *testing.T) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func file(t *testing.T, name string, raw []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// payloadOf returns what cosign signs for an image.
func payloadOf(image v1.Descriptor) []byte {
	return fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":"r.example/app"},"image":{"docker-manifest-digest":%q},"type":"cosign container image signature"},"optional":null}`, image.Digest)
}

// statementOf returns what cosign signs for an image in a bundle.
func statementOf(image v1.Descriptor, predicate string) []byte {
	return fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":%q}}],"predicateType":%q,"predicate":{}}`, image.Digest.Encoded(), predicate)
}

const signed = "https://sigstore.dev/cosign/sign/v1"

// layer is one layer of a document of signatures.
type layer struct {
	mediaType string
	raw       []byte
	notes     map[string]string
}

func (b bench) layers(all []layer) (list []v1.Descriptor) {
	for _, l := range all {
		d := b.Src.Blob(b.T, "app", l.mediaType, l.raw)
		d.Annotations = l.notes
		list = append(list, d)
	}
	return list
}

// attach stores a document of layers that refers to the image, by the tag schema.
func (b bench) attach(artifactType string, all ...layer) {
	b.T.Helper()
	subject := v1.Descriptor{MediaType: b.image.MediaType, Digest: b.image.Digest, Size: b.image.Size}
	raw := must(json.Marshal(v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, ArtifactType: artifactType,
		Config: b.Src.Blob(b.T, "app", v1.MediaTypeEmptyJSON, []byte("{}")), Layers: b.layers(all), Subject: &subject,
	}))(b.T)
	d := b.Src.Manifest(b.T, "app", "", v1.MediaTypeImageManifest, raw)
	d.ArtifactType = artifactType
	list := must(json.Marshal(v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{d},
	}))(b.T)
	b.Src.Manifest(b.T, "app", strings.Replace(string(b.image.Digest), ":", "-", 1), v1.MediaTypeImageIndex, list)
}

// tag stores a document of layers under cosign's digest tag.
func (b bench) tag(all ...layer) {
	b.T.Helper()
	raw := must(json.Marshal(v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		Config: b.Src.Blob(b.T, "app", v1.MediaTypeImageConfig, []byte("{}")), Layers: b.layers(all),
	}))(b.T)
	b.Src.Manifest(b.T, "app", strings.Replace(string(b.image.Digest), ":", "-", 1)+".sig", v1.MediaTypeImageManifest, raw)
}

// keyPair is a key of cosign.
type keyPair struct {
	private *ecdsa.PrivateKey
	path    string // cosign.pub
}

func newKey(t *testing.T) keyPair {
	t.Helper()
	k := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	der := must(x509.MarshalPKIXPublicKey(k.Public()))(t)
	return keyPair{k, file(t, "cosign.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
}

func (k keyPair) sign(t *testing.T, payload []byte) layer {
	t.Helper()
	s := must(signature.LoadSigner(k.private, crypto.SHA256))(t)
	raw := must(s.SignMessage(bytes.NewReader(payload)))(t)
	return layer{evidence.TypePayload, payload, map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(raw)}}
}

const bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// bundleBy returns a bundle of a statement that a new key signs, and the file of that key.
func bundleBy(t *testing.T, statement []byte) (layer, string) {
	t.Helper()
	k := must(sign.NewEphemeralKeypair(nil))(t)
	b := must(sign.Bundle(&sign.DSSEData{Data: statement, PayloadType: "application/vnd.in-toto+json"}, k, sign.BundleOptions{}))(t)
	text := must(k.GetPublicKeyPem())(t)
	return layer{bundleType, must((&bundle.Bundle{Bundle: b}).MarshalJSON())(t), nil}, file(t, "cosign.pub", []byte(text))
}

// authority is a Fulcio with a Rekor.
type authority struct {
	*ca.VirtualSigstore
	roots string // trusted_root.json
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{VirtualSigstore: must(ca.NewVirtualSigstore())(t)}
	logs := a.RekorLogs()
	for id, log := range logs {
		log.ID = must(hex.DecodeString(id))(t)
	}
	trusted := must(root.NewTrustedRoot(root.TrustedRootMediaType01, a.FulcioCertificateAuthorities(), nil, a.TimestampingAuthorities(), logs))(t)
	a.roots = file(t, "trusted_root.json", must(trusted.MarshalJSON())(t))
	return a
}

const (
	who    = "release@acme.example"
	issuer = "https://issuer.example"
)

// soon is when a log takes an entry: certificates are valid for ten minutes from now on.
func soon() time.Time { return time.Now().Add(5 * time.Minute) }

// sign returns a signature of cosign's digest tag, with its certificate and its log entry.
func (a authority) sign(t *testing.T, payload []byte, at time.Time) layer {
	t.Helper()
	e := must(a.SignAtTimeWithVersion(who, issuer, payload, at, "v0.1"))(t)
	content := must(e.SignatureContent())(t)
	material := must(e.VerificationContent())(t)
	entry := a.promised(t, must(e.TlogEntries())(t)[0], "hashedrekord")
	log := map[string]any{
		"SignedEntryTimestamp": entry.InclusionPromise.SignedEntryTimestamp,
		"Payload": map[string]any{
			"body": entry.CanonicalizedBody, "integratedTime": entry.IntegratedTime, "logIndex": entry.LogIndex,
			"logID": hex.EncodeToString(entry.LogId.KeyId),
		},
	}
	text := func(certs ...*x509.Certificate) string {
		var all []byte
		for _, c := range certs {
			all = append(all, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
		}
		return string(all)
	}
	fulcio := a.FulcioCertificateAuthorities()[0].(*root.FulcioCertificateAuthority)
	return layer{evidence.TypePayload, payload, map[string]string{
		"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(content.Signature()),
		"dev.sigstore.cosign/certificate":    text(material.Certificate()),
		"dev.sigstore.cosign/chain":          text(fulcio.Intermediates[0], fulcio.Root),
		"dev.sigstore.cosign/bundle":         string(must(json.Marshal(log))(t)),
	}}
}

// promised returns an entry with what a log says about it, which the library leaves out.
func (a authority) promised(t *testing.T, e *tlog.Entry, kind string) *protorekor.TransparencyLogEntry {
	t.Helper()
	entry := e.TransparencyLogEntry()
	set := must(a.RekorSignPayload(tlog.RekorPayload{
		Body:           base64.StdEncoding.EncodeToString(entry.CanonicalizedBody),
		IntegratedTime: entry.IntegratedTime, LogIndex: entry.LogIndex, LogID: hex.EncodeToString(entry.LogId.KeyId),
	}))(t)
	entry.InclusionPromise = &protorekor.InclusionPromise{SignedEntryTimestamp: set}
	entry.KindVersion = &protorekor.KindVersion{Kind: kind, Version: "0.0.1"}
	return entry
}

// bundle returns a bundle of a statement, with its certificate and the proof of its log.
func (a authority) bundle(t *testing.T, statement []byte, at time.Time) layer {
	t.Helper()
	e := must(a.AttestAtTime(who, issuer, statement, at, true))(t)
	content := must(e.SignatureContent())(t)
	material := must(e.VerificationContent())(t)
	entry := a.promised(t, must(e.TlogEntries())(t)[0], "dsse")
	b := &protobundle.Bundle{
		MediaType: bundleType,
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content:     &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: material.Certificate().Raw}},
			TlogEntries: []*protorekor.TransparencyLogEntry{entry},
		},
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			Payload: statement, PayloadType: "application/vnd.in-toto+json",
			Signatures: []*protodsse.Signature{{Sig: content.Signature()}},
		}},
	}
	return layer{bundleType, must((&bundle.Bundle{Bundle: b}).MarshalJSON())(t), nil}
}

// notary is a signer of the Notary Project, with the directory and the policy that trust it.
type notary struct {
	key   *ecdsa.PrivateKey
	chain []*x509.Certificate // the leaf, then the root
	store string
}

func newNotary(t *testing.T) notary {
	t.Helper()
	n := notary{store: t.TempDir()}
	n.key, n.chain = certified(t, "acme")
	dir := filepath.Join(n.store, "truststore", "x509", "ca", "acme")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	pemOf := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: n.chain[1].Raw})
	if err := os.WriteFile(filepath.Join(dir, "root.crt"), pemOf, 0o600); err != nil {
		t.Fatal(err)
	}
	return n
}

// stranger returns a signer that nobody trusts.
func (n notary) stranger(t *testing.T) notary {
	t.Helper()
	n.key, n.chain = certified(t, "a stranger")
	return n
}

// certified returns a key with its certificate, which is valid since two days, and that of its authority.
func certified(t *testing.T, name string) (*ecdsa.PrivateKey, []*x509.Certificate) {
	t.Helper()
	authority := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
			Subject:               pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"Acme"}, CommonName: name},
			BasicConstraintsValid: true,
		}
	}
	top, own := template(1, name+" root"), template(2, name)
	top.IsCA, top.KeyUsage = true, x509.KeyUsageCertSign
	own.KeyUsage, own.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	rootCert := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, top, top, authority.Public(), authority))(t)))(t)
	leaf := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, own, rootCert, key.Public(), authority))(t)))(t)
	return key, []*x509.Certificate{leaf, rootCert}
}

// policy writes a trust policy with a level and identities.
func policy(t *testing.T, level string, identities ...string) string {
	t.Helper()
	p := map[string]any{"name": "acme", "registryScopes": []string{"*"}, "signatureVerification": map[string]any{"level": level}}
	if level != "skip" {
		p["trustStores"], p["trustedIdentities"] = []string{"ca:acme"}, identities
	}
	return file(t, "trustpolicy.json", must(json.Marshal(map[string]any{"version": "1.0", "trustPolicies": []any{p}}))(t))
}

func (n notary) sign(t *testing.T, image v1.Descriptor, mediaType string) layer {
	t.Helper()
	s := must(signer.NewGenericSigner(n.key, n.chain))(t)
	raw, _, err := s.Sign(t.Context(), image, notation.SignerSignOptions{SignatureMediaType: mediaType})
	if err != nil {
		t.Fatal(err)
	}
	return layer{mediaType, raw, nil}
}

// expired signs as of an hour ago, for less than an hour.
func (n notary) expired(t *testing.T, image v1.Descriptor) layer {
	t.Helper()
	content := must(json.Marshal(map[string]any{"targetArtifact": image}))(t)
	s := must(core.NewLocalSigner(n.chain, n.key))(t)
	raw := must(jws.NewEnvelope().Sign(&core.SignRequest{
		Payload: core.Payload{ContentType: "application/vnd.cncf.notary.payload.v1+json", Content: content},
		Signer:  s, SigningTime: time.Now().Add(-time.Hour), Expiry: time.Now().Add(-time.Minute),
		SigningScheme: core.SigningSchemeX509, SigningAgent: "test",
	}))(t)
	return layer{evidence.TypeJWS, raw, nil}
}
