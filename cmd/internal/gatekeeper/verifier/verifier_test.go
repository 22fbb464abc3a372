package verifier_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/config/gates"
	"github.com/drayage/dray/cmd/internal/gatekeeper"
	"github.com/drayage/dray/cmd/internal/gatekeeper/evidence"
	"github.com/drayage/dray/cmd/internal/gatekeeper/verifier"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
)

// TestMain acts as drayd if it is run with the command of the verifier.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == evidence.Command {
		os.Exit(verifier.Main(context.Background(), os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// trying copies the image of a bench through a gate that requires a signature, with a drayd of its own.
func (b bench) trying(s gates.Signature) error {
	b.T.Helper()
	k, err := gatekeeper.New(gates.Gate{Name: "prod", Signature: s}, gatekeeper.Program(os.Executable))
	if err != nil {
		b.T.Fatal(err)
	}
	b.Forget()
	_, err = b.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app"}, Gate: k})
	return err
}

// admits fails the test unless the image moves.
func (b bench) admits(s gates.Signature) {
	b.T.Helper()
	if err := b.trying(s); err != nil {
		b.T.Errorf("%v (hint: %s)", err, fault.HintOf(err))
		return
	}
	testbed.Same(b.T, b.Src, b.Dst, "app", "v1", "app", "v1")
}

// refuses fails the test unless the gate refuses the image for a reason, and nothing of it moves.
func (b bench) refuses(s gates.Signature, why string) {
	b.T.Helper()
	err := b.trying(s)
	head := "source: gate prod refuses " + b.Src.Host + "/app:v1@" + string(b.image.Digest) + ": refused: "
	if !fault.Is(err, fault.Refused) || !strings.HasPrefix(err.Error(), head) || !strings.Contains(err.Error(), why) {
		b.T.Errorf("%v\nwant %q", err, why)
	}
	if n := b.Dst.Count(http.MethodPut, "") + b.Dst.Count(http.MethodPost, "") + b.Dst.Count(http.MethodPatch, ""); n != 0 {
		b.T.Errorf("%d writes to the target\n%s", n, b.Dst.Story())
	}
}

func keys(k ...string) gates.Signature { return gates.Signature{Keys: k} }

func TestASignatureOfAKeyInADigestTagAdmitsAnImage(t *testing.T) {
	b, k, other := newBench(t), newKey(t), newKey(t)
	b.refuses(keys(k.path), "it has no signature of cosign")
	b.tag(other.sign(t, payloadOf(b.image)))
	b.refuses(keys(k.path), "its signature is not trusted: sha256:")
	b.tag(other.sign(t, payloadOf(b.image)), k.sign(t, payloadOf(b.image))) // both are over the same payload
	b.admits(keys(k.path))
	b.tag(k.sign(t, payloadOf(b.image)))
	b.admits(keys(other.path, k.path))
}

func TestASignatureThatWasTamperedWithOrIsOfAnotherImageIsRefused(t *testing.T) {
	b, k := newBench(t), newKey(t)
	good := k.sign(t, payloadOf(b.image))
	changed := good
	changed.raw = bytes.Replace(payloadOf(b.image), []byte("r.example"), []byte("s.example"), 1)
	b.tag(changed)
	b.refuses(keys(k.path), "its signature is not trusted")
	other := testbed.Random(t, b.Src, "app", "v2", testbed.RandomOptions{Seed: 2}).Root
	b.tag(k.sign(t, payloadOf(other)))
	b.refuses(keys(k.path), "it is a signature of another image, "+string(other.Digest))
	b.tag(k.sign(t, bytes.Replace(payloadOf(b.image), []byte("cosign container image signature"), []byte("something else"), 1)))
	b.refuses(keys(k.path), `what was signed is of the type "something else"`)
	b.tag(layer{evidence.TypePayload, payloadOf(b.image), nil})
	b.refuses(keys(k.path), "it has no signature in its annotations")
	b.tag(layer{"application/x", payloadOf(b.image), good.notes})
	b.refuses(keys(k.path), "it has no signature of cosign")
}

func TestASignatureInAReferrerAdmitsAnImage(t *testing.T) {
	b, k := newBench(t), newKey(t)
	b.attach("application/vnd.dev.cosign.artifact.sig.v1+json", k.sign(t, payloadOf(b.image)))
	b.admits(keys(k.path))
	b = newBench(t)
	l, path := bundleBy(t, statementOf(b.image, signed))
	b.attach(bundleType, l)
	b.refuses(keys(k.path), "its signature is not trusted")
	b.admits(keys(path))
}

func TestABundleThatDoesNotSignThisImageIsRefused(t *testing.T) {
	b := newBench(t)
	l, path := bundleBy(t, statementOf(b.image, "https://cosign.sigstore.dev/attestation/vuln/v1"))
	b.attach(bundleType, l)
	b.refuses(keys(path), "it is a statement of the type https://cosign.sigstore.dev/attestation/vuln/v1, not a signature")
	other := testbed.Random(t, b.Src, "app", "v2", testbed.RandomOptions{Seed: 2}).Root
	l, path = bundleBy(t, statementOf(other, signed))
	b.attach(bundleType, l)
	b.refuses(keys(path), "its signature is not trusted")
	b.attach(bundleType, layer{bundleType, []byte("{}"), nil})
	b.refuses(keys(path), "the bundle cannot be read")
}

func TestAKeylessSignatureAdmitsAnImageOfTheIdentityThatTheGateTrusts(t *testing.T) {
	a := newAuthority(t)
	trust := func(identity, by string) gates.Signature {
		return gates.Signature{Keyless: &gates.Keyless{Identity: identity, Issuer: by, Roots: a.roots}}
	}
	forms := map[string]func(bench, v1.Descriptor, time.Time){
		"digest tag": func(b bench, image v1.Descriptor, at time.Time) { b.tag(a.sign(b.T, payloadOf(image), at)) },
		"bundle": func(b bench, image v1.Descriptor, at time.Time) {
			b.attach(bundleType, a.bundle(b.T, statementOf(image, signed), at))
		},
	}
	for form, sign := range forms {
		t.Run(form, func(t *testing.T) {
			b := newBench(t)
			sign(b, b.image, soon())
			b.refuses(trust("attacker@acme.example", issuer), "its signature is not trusted")
			b.refuses(trust(who, "https://other.example"), "its signature is not trusted")
			b.refuses(gates.Signature{Keyless: &gates.Keyless{IdentityRegexp: "^(?:release@acme)$", Issuer: issuer, Roots: a.roots}}, "its signature is not trusted")
			b.refuses(gates.Signature{Keyless: &gates.Keyless{Identity: who, Issuer: issuer, Roots: newAuthority(t).roots}}, "its signature is not trusted")
			b.refuses(keys(newKey(t).path), "its signature is not trusted")
			b.admits(trust(who, issuer))
			b = newBench(t)
			sign(b, b.image, soon())
			b.admits(gates.Signature{Keyless: &gates.Keyless{IdentityRegexp: `^(?:.*@acme\.example)$`, IssuerRegexp: "^(?:https://issuer.*)$", Roots: a.roots}})
			b = newBench(t)
			sign(b, b.image, time.Now().Add(11*time.Minute)) // the certificate has expired by then
			b.refuses(trust(who, issuer), "its signature is not trusted")
			sign(b, testbed.Random(t, b.Src, "app", "v2", testbed.RandomOptions{Seed: 2}).Root, soon())
			b.refuses(trust(who, issuer), "its signature is not trusted")
		})
	}
	b := newBench(t)
	l := a.sign(t, payloadOf(b.image), soon())
	delete(l.notes, "dev.sigstore.cosign/bundle")
	b.tag(l)
	b.refuses(trust(who, issuer), "its signature is not trusted") // no log has it
}

func TestASignatureOfNotationAdmitsAnImageIfItsSignerIsTrusted(t *testing.T) {
	n := newNotary(t)
	trust := func(policy string) gates.Signature {
		return gates.Signature{Notation: &gates.Notation{Store: n.store, Policy: policy}}
	}
	anybody := policy(t, "strict", "*")
	const artifact = "application/vnd.cncf.notary.signature"
	for _, form := range []string{evidence.TypeJWS, evidence.TypeCOSE} {
		b := newBench(t)
		b.refuses(trust(anybody), "it has no signature of notation")
		b.attach(artifact, n.sign(t, b.image, form))
		b.refuses(trust(policy(t, "strict", "x509.subject: C=US, ST=WA, O=Somebody Else")), "its signature is not trusted")
		b.refuses(keys(newKey(t).path), "it has no signature of cosign")
		b.admits(trust(anybody))
	}
	b := newBench(t)
	b.attach(artifact, n.sign(t, b.image, evidence.TypeJWS))
	b.refuses(trust(policy(t, "skip")), "the trust policy skips the verification")
	b.attach(artifact, n.stranger(t).sign(t, b.image, evidence.TypeJWS))
	b.refuses(trust(anybody), "its signature is not trusted")
	b.refuses(trust(policy(t, "audit", "*")), "its signature is not trusted") // notation only logs it
	b.attach(artifact, n.expired(t, b.image))
	b.refuses(trust(anybody), "expired")
	other := testbed.Random(t, b.Src, "app", "v2", testbed.RandomOptions{Seed: 2}).Root
	b.attach(artifact, n.sign(t, other, evidence.TypeJWS))
	b.refuses(trust(anybody), "content descriptor mismatch")
	b.attach(artifact, layer{evidence.TypeJWS, []byte("{}"), nil})
	b.refuses(trust(anybody), "its signature is not trusted")
}

// What the verifier says without a request, or to one that it does not read, is an error and no answer.
func TestARequestThatCannotBeReadHasNoAnswer(t *testing.T) {
	for request, want := range map[string]string{
		"":                                     "the request is not one that this drayd reads: EOF\n",
		`{"version":2}`:                        "the request has version 2 of the format; this drayd reads 1\n",
		`{"version":1}`:                        "the request does not say whom to trust in exactly one way\n",
		`{"version":1,"later":1}`:              "the request is not one that this drayd reads: json: unknown field \"later\"\n",
		`{"version":1,"trust":{"keys":["x"]}}`: "the public key cannot be read",
		`{"version":1,"trust":{"keyless":{"roots":""}}}`: "the roots cannot be read",
		`{"version":1,"trust":{"notation":{}}}`:          "the trust policy cannot be read",
	} {
		var out, errs bytes.Buffer
		code := verifier.Main(t.Context(), strings.NewReader(request), &out, &errs)
		if code != 1 || out.Len() != 0 || !strings.HasPrefix(errs.String(), want) {
			t.Errorf("%s: code %d, %q %q", request, code, out.String(), errs.String())
		}
	}
	if code := verifier.Main(t.Context(), strings.NewReader(""), failing{}, failing{}); code != 1 {
		t.Errorf("code %d", code)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no") }
