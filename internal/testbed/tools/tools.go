// Package tools lets the tools of others sign images, attach documents to them, and verify them. It looks for a tool in
// .tools of this repository, where `make clients` puts it, and in PATH. If a tool is missing, the test is skipped.
package tools

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Find returns the path of a tool.
func Find(tb testing.TB, name string) string {
	tb.Helper()
	dir, err := os.Getwd() // the directory of the package under test
	for err == nil {
		if path := filepath.Join(dir, ".tools", name); isProgram(path) {
			return path
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	path, err := exec.LookPath(name)
	if err != nil {
		tb.Skip("SKIPPED: " + name + " is not installed: make clients builds it")
	}
	return path
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// try runs a tool with a home directory of its own, and returns what it writes.
func try(tb testing.TB, home, tool string, env []string, args ...string) (stdout string, err error) {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), tool, args...)
	cmd.Dir = home
	cmd.Env = append([]string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}, env...)
	var out, story bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &story
	if err = cmd.Run(); err != nil {
		tb.Logf("%s %s: %v\n%s%s", filepath.Base(tool), strings.Join(args, " "), err, out.String(), story.String())
	}
	return out.String(), err
}

// Hands runs the program of internal/testbed/hands, which uses the libraries of notation, oras and helm. It ends the
// test if that fails.
func Hands(tb testing.TB, args ...string) string {
	tb.Helper()
	out, err := TryHands(tb, args...)
	if err != nil {
		tb.Fatal("hands failed")
	}
	return out
}

// TryHands is Hands without an end of the test.
func TryHands(tb testing.TB, args ...string) (string, error) {
	tb.Helper()
	return try(tb, tb.TempDir(), Find(tb, "hands"), nil, args...)
}

// Certificate writes a new key, and a certificate that signs itself, for signatures of notation.
func Certificate(tb testing.TB) (key, cert string) {
	tb.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject: pkix.Name{
			CommonName: "test", Organization: []string{"test"}, Country: []string{"DE"}, Province: []string{"BE"},
		},
		NotBefore:   time.Now().Add(-time.Hour),
		NotAfter:    time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &k.PublicKey, k)
	if err != nil {
		tb.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			tb.Fatal(err)
		}
		return path
	}
	return write("key.pem", "PRIVATE KEY", secret), write("cert.pem", "CERTIFICATE", der)
}

// Cosign is cosign with a key pair of its own, without a network: no transparency log is written or asked.
type Cosign struct {
	tb         testing.TB
	tool, home string
}

// NewCosign generates a key pair.
func NewCosign(tb testing.TB) *Cosign {
	tb.Helper()
	c := &Cosign{tb: tb, tool: Find(tb, "cosign"), home: tb.TempDir()}
	c.must("generate-key-pair")
	return c
}

func (c *Cosign) try(args ...string) error {
	c.tb.Helper()
	_, err := try(c.tb, c.home, c.tool, []string{"COSIGN_PASSWORD=test", "COSIGN_EXPERIMENTAL=1"}, args...)
	return err
}

func (c *Cosign) must(args ...string) {
	c.tb.Helper()
	if err := c.try(args...); err != nil {
		c.tb.Fatal("cosign failed")
	}
}

// Form says where cosign stores a signature: Tagged under a digest tag, Referrer as a referrer, and Bundle in a bundle
// that is a referrer.
type Form string

// The Forms of cosign's signatures.
const (
	Tagged   Form = "tag"
	Referrer Form = "referrer"
	Bundle   Form = "bundle"
)

// Sign signs an image by its digest.
func (c *Cosign) Sign(form Form, image string) {
	c.tb.Helper()
	args := []string{"sign", "--key", "cosign.key", "--tlog-upload=false", "--allow-http-registry", "--yes"}
	switch form {
	case Tagged:
	case Referrer:
		args = append(args, "--registry-referrers-mode=oci-1-1")
	case Bundle:
		args = append(args, "--new-bundle-format")
	}
	c.must(append(args, image)...)
}

// Attest attaches an attestation to an image, under a digest tag.
func (c *Cosign) Attest(image string) {
	c.tb.Helper()
	if err := os.WriteFile(filepath.Join(c.home, "predicate.json"), []byte(`{"built":"here"}`), 0o600); err != nil {
		c.tb.Fatal(err)
	}
	c.must("attest", "--key", "cosign.key", "--tlog-upload=false", "--allow-http-registry", "--yes",
		"--predicate", "predicate.json", "--type", "custom", image)
}

// Verify verifies the signature of an image in one form.
func (c *Cosign) Verify(form Form, image string) error {
	c.tb.Helper()
	args := []string{"verify", "--key", "cosign.pub", "--insecure-ignore-tlog=true", "--allow-http-registry"}
	switch form {
	case Tagged:
	case Referrer:
		args = append(args, "--experimental-oci11")
	case Bundle:
		// The key proves the signature. The root of trust, which would prove certificates and logs, is empty.
		root := []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`)
		if err := os.WriteFile(filepath.Join(c.home, "root.json"), root, 0o600); err != nil {
			c.tb.Fatal(err)
		}
		args = append(args, "--new-bundle-format", "--trusted-root", "root.json")
	}
	return c.try(append(args, image)...)
}

// VerifyAttestation verifies the attestation of an image.
func (c *Cosign) VerifyAttestation(image string) error {
	c.tb.Helper()
	return c.try("verify-attestation", "--key", "cosign.pub", "--insecure-ignore-tlog=true", "--allow-http-registry",
		"--type", "custom", image)
}
