// Command hands does with an image what its users do: sign it, attach documents to it, verify it. It does so with the
// libraries of the tools notation, oras and helm. Tests run it to find out whether what dray copied is what these
// tools expect. It is a module of its own, so that dray does not depend on these libraries.
//
// All registries are asked by plain HTTP.
//
//	hands notation sign IMAGE KEY CERT   sign an image with a key and its certificate, both PEM files
//	hands notation verify IMAGE CERT     verify the signatures of an image against a certificate
//	hands oras attach IMAGE TYPE FILE    attach a file to an image as an artifact of this type
//	hands oras discover IMAGE TYPE       print the digests of the artifacts of this type
//	hands helm push FILE IMAGE           push a chart
//	hands helm pull IMAGE FILE           pull a chart
package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/notaryproject/notation-core-go/signature/jws"
	corex509 "github.com/notaryproject/notation-core-go/x509"
	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/notation-go/signer"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	helm "helm.sh/helm/v3/pkg/registry"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "hands:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) < 3 {
		return errors.New("too few arguments")
	}
	does := strings.Join(args[:2], " ")
	args = args[2:]
	for name, do := range map[string]struct {
		args int
		run  func() error
	}{
		"notation sign":   {3, func() error { return sign(ctx, args[0], args[1], args[2]) }},
		"notation verify": {2, func() error { return verify(ctx, args[0], args[1]) }},
		"oras attach":     {3, func() error { return attach(ctx, args[0], args[1], args[2]) }},
		"oras discover":   {2, func() error { return discover(ctx, args[0], args[1]) }},
		"helm push":       {2, func() error { return push(args[0], args[1]) }},
		"helm pull":       {2, func() error { return pull(args[0], args[1]) }},
	} {
		if name != does {
			continue
		}
		if len(args) != do.args {
			return fmt.Errorf("%s takes %d arguments", name, do.args)
		}
		return do.run()
	}
	return fmt.Errorf("unknown command %q", does)
}

func open(image string) (*remote.Repository, error) {
	r, err := remote.NewRepository(image)
	if err == nil {
		r.PlainHTTP = true
	}
	return r, err
}

func sign(ctx context.Context, image, key, cert string) error {
	r, err := open(image)
	if err != nil {
		return err
	}
	s, err := signer.NewGenericSignerFromFiles(key, cert)
	if err != nil {
		return err
	}
	_, err = notation.Sign(ctx, s, registry.NewRepository(r), notation.SignOptions{
		SignerSignOptions: notation.SignerSignOptions{SignatureMediaType: jws.MediaTypeEnvelope},
		ArtifactReference: image,
	})
	return err
}

// store is a trust store with one certificate.
type store struct{ cert *x509.Certificate }

func (s store) GetCertificates(context.Context, truststore.Type, string) ([]*x509.Certificate, error) {
	return []*x509.Certificate{s.cert}, nil
}

func verify(ctx context.Context, image, file string) error {
	r, err := open(image)
	if err != nil {
		return err
	}
	cert, err := certificate(file)
	if err != nil {
		return err
	}
	v, err := verifier.New(&trustpolicy.Document{Version: "1.0", TrustPolicies: []trustpolicy.TrustPolicy{{
		Name:                  "test",
		RegistryScopes:        []string{"*"},
		SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: trustpolicy.LevelStrict.Name},
		TrustStores:           []string{"ca:test"},
		TrustedIdentities:     []string{"*"},
	}}}, store{cert}, nil)
	if err != nil {
		return err
	}
	_, _, err = notation.Verify(ctx, v, registry.NewRepository(r), notation.VerifyOptions{
		ArtifactReference: image, MaxSignatureAttempts: 50,
	})
	return err
}

func certificate(file string) (*x509.Certificate, error) {
	certs, err := corex509.ReadCertificateFile(file)
	if err != nil {
		return nil, err
	}
	if len(certs) != 1 {
		return nil, fmt.Errorf("%s has %d certificates", file, len(certs))
	}
	return certs[0], nil
}

func attach(ctx context.Context, image, artifactType, file string) error {
	r, err := open(image)
	if err != nil {
		return err
	}
	subject, err := r.Resolve(ctx, r.Reference.Reference)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	layer, err := oras.PushBytes(ctx, r, "text/plain", data)
	if err != nil {
		return err
	}
	_, err = oras.PackManifest(ctx, r, oras.PackManifestVersion1_1, artifactType, oras.PackManifestOptions{
		Subject: &subject, Layers: []v1.Descriptor{layer},
	})
	return err
}

func discover(ctx context.Context, image, artifactType string) error {
	r, err := open(image)
	if err != nil {
		return err
	}
	subject, err := r.Resolve(ctx, r.Reference.Reference)
	if err != nil {
		return err
	}
	return r.Referrers(ctx, subject, artifactType, func(page []v1.Descriptor) error {
		for _, d := range page {
			fmt.Println(d.Digest)
		}
		return nil
	})
}

func push(file, image string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	c, err := helm.NewClient(helm.ClientOptPlainHTTP())
	if err == nil {
		_, err = c.Push(data, image)
	}
	return err
}

func pull(image, file string) error {
	c, err := helm.NewClient(helm.ClientOptPlainHTTP())
	if err != nil {
		return err
	}
	got, err := c.Pull(image)
	if err != nil {
		return err
	}
	return os.WriteFile(file, got.Chart.Data, 0o600)
}
