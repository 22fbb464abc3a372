package gatekeeper_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/config/gates"
	"github.com/drayage/dray/cmd/internal/gatekeeper"
	"github.com/drayage/dray/cmd/internal/gatekeeper/evidence"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// TestMain acts as a drayd that misbehaves as the name of the test program says.
func TestMain(m *testing.M) {
	if len(os.Args) != 2 || os.Args[1] != evidence.Command {
		os.Exit(m.Run())
	}
	var r evidence.Request
	if err := json.NewDecoder(os.Stdin).Decode(&r); err != nil {
		os.Exit(9)
	}
	if len(os.Environ()) > 0 {
		os.Exit(8) // it could find a proxy or a configuration there
	}
	a := evidence.Answer{Version: evidence.Version, Image: r.Image.Digest, By: "somebody"}
	switch filepath.Base(os.Args[0]) {
	case "good":
	case "crashes":
		panic("the verifier crashed")
	case "babbles":
		fmt.Println("verified: yes")
		os.Exit(0)
	case "older":
		a.Version = 0
	case "confused":
		a.Image = oci.Sum(nil)
	case "silent":
		os.Exit(0)
	case "endless":
		for {
			fmt.Println(strings.Repeat("x", 1<<16))
		}
	case "distrusts":
		a.By, a.Found = "", []string{"sha256:1: the key is another one", "sha256:2: no", "sha256:3: no", "sha256:4: no"}
	case "fails":
		fmt.Fprintln(os.Stderr, "the public key cannot be used\nand more")
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(a); err != nil {
		os.Exit(7)
	}
	os.Exit(0)
}

// drayd returns a drayd that behaves as name says.
func drayd(t *testing.T, name string) gatekeeper.Verify {
	t.Helper()
	self, err := os.Executable()
	path := filepath.Join(t.TempDir(), name)
	if err = errors.Join(err, os.Symlink(self, path)); err != nil {
		t.Skip(err)
	}
	return gatekeeper.Program(func() (string, error) { return path, nil })
}

func publicKey(t *testing.T) string {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "cosign.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func write(t *testing.T, name string, raw []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// signed stores a document that looks like n signatures of cosign under the digest tag of an image.
func signed(t *testing.T, r *testbed.Registry, repo string, image v1.Descriptor, n int) {
	t.Helper()
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Config: r.Blob(t, repo, v1.MediaTypeImageConfig, []byte("{}"))}
	d := r.Blob(t, repo, evidence.TypePayload, []byte(`{"critical":{}}`))
	for i := range n {
		d.Annotations = map[string]string{"dev.cosignproject.cosign/signature": strconv.Itoa(i)}
		m.Layers = append(m.Layers, d)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	r.Manifest(t, repo, strings.Replace(string(image.Digest), ":", "-", 1)+".sig", m.MediaType, raw)
}

// through copies an image through a gate.
func through(t *testing.T, y *yard.Yard, source string, g gates.Gate, v gatekeeper.Verify) error {
	t.Helper()
	g.Name = "prod"
	k, err := gatekeeper.New(g, v)
	if err != nil {
		t.Fatal(err)
	}
	y.Forget()
	// The target is a new name each time: what is up to date there does not move.
	target := fmt.Sprintf("dst/x:%d", time.Now().UnixNano())
	_, err = y.Copy(dray.CopyRequest{Source: source, Targets: []string{target}, Gate: k})
	return err
}

func TestAVerifierThatIsMissingCrashesOrAnswersNonsenseAdmitsNothing(t *testing.T) {
	y := yard.New(t)
	image := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	signed(t, y.Src, "app", image.Root, 1)
	g := gates.Gate{Signature: gates.Signature{Keys: []string{publicKey(t)}}}
	for name, want := range map[string]string{
		"crashes":   "its signatures cannot be verified: ",
		"babbles":   "its signatures cannot be verified: drayd did not answer in the form that this dray reads",
		"older":     "its signatures cannot be verified: drayd answered in version 0 of the format; this dray reads 1",
		"confused":  "its signatures cannot be verified: drayd answered about another image",
		"silent":    "its signatures cannot be verified: drayd did not answer in the form that this dray reads: 0 bytes",
		"distrusts": "its signature is not trusted: sha256:1: the key is another one; sha256:2: no; sha256:3: no; and 1 more",
		"fails":     evidence.Command + ": exit status 1: the public key cannot be used",
	} {
		err := through(t, y, "src/app:v1", g, drayd(t, name))
		if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "and more") || fault.SideOf(err) != fault.Source {
			t.Errorf("%s: %v", name, err)
		}
	}
	missing := gatekeeper.Program(func() (string, error) {
		return "", &fault.Fault{Kind: fault.Unavailable, Op: "run drayd", Err: errors.New("it is not there"), Hint: "install it"}
	})
	for name, v := range map[string]gatekeeper.Verify{
		"missing": missing, "unknown": gatekeeper.Program(nil),
		"gone": gatekeeper.Program(func() (string, error) { return filepath.Join(t.TempDir(), "gone"), nil }),
	} {
		err := through(t, y, "src/app:v1", g, v)
		if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "its signatures cannot be verified: ") {
			t.Errorf("%s: %v", name, err)
		}
		if name == "missing" && fault.HintOf(err) != "install it" {
			t.Errorf("hint %q", fault.HintOf(err))
		}
	}
	if n := y.Dst.Count(http.MethodPut, ""); n != 0 {
		t.Errorf("%d writes", n)
	}
	if err := through(t, y, "src/app:v1", g, drayd(t, "good")); err != nil {
		t.Error(err)
	}
}

func TestAVerifierThatWritesWithoutEndIsStoppedWithTheRun(t *testing.T) {
	y := yard.New(t)
	image := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	signed(t, y.Src, "app", image.Root, 1)
	started := make(chan struct{})
	endless := drayd(t, "endless")
	verify := func(ctx context.Context, request []byte) ([]byte, error) {
		close(started)
		return endless(ctx, request)
	}
	k, err := gatekeeper.New(gates.Gate{Name: "prod", Signature: gates.Signature{Keys: []string{publicKey(t)}}}, verify)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	go func() { <-started; stop() }()
	if _, err := y.PlanCopy(ctx, dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/x:y"}, Gate: k}, nil); !fault.Is(err, fault.Canceled) {
		t.Error(err)
	}
}

func TestMoreSignaturesThanAreVerifiedAreARefusal(t *testing.T) {
	y := yard.New(t)
	image := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	signed(t, y.Src, "app", image.Root, 65)
	err := through(t, y, "src/app:v1", gates.Gate{Signature: gates.Signature{Keys: []string{publicKey(t)}}}, drayd(t, "good"))
	if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "it has more than 64 signatures") {
		t.Error(err)
	}
	signed(t, y.Src, "app", image.Root, 64)
	if err := through(t, y, "src/app:v1", gates.Gate{Signature: gates.Signature{Keys: []string{publicKey(t)}}}, drayd(t, "good")); err != nil {
		t.Error(err)
	}
}

func TestRulesRefuseAnImageAndSayWhatTheyFound(t *testing.T) {
	y := yard.New(t)
	testbed.Index(t, y.Src, "team/app", "v1", 2)
	patterns := func(s ...string) plan.Patterns {
		p, err := plan.ParsePatterns(s...)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	host := y.Src.Host
	for name, c := range map[string]struct {
		gate gates.Gate
		want string // "" means that it is admitted
	}{
		"allowed":      {gates.Gate{Allow: patterns("other/*", host+"/team/*")}, ""},
		"not allowed":  {gates.Gate{Allow: patterns("other/*", "re:third/")}, "its repository is not among those that are allowed: other/*, re:third/"},
		"denied":       {gates.Gate{Deny: patterns("*/team/*")}, "its repository is denied by */team/*"},
		"not denied":   {gates.Gate{Deny: patterns("team/*")}, ""},
		"small enough": {gates.Gate{MaxSize: 1 << 20}, ""},
		"too large":    {gates.Gate{MaxSize: 1000}, "; the limit is 1000"},
		"platforms":    {gates.Gate{Platforms: []string{"linux/amd64", "linux/arm64"}}, ""},
		"one lacks":    {gates.Gate{Platforms: []string{"linux/amd64", "linux/arm"}}, "it lacks the platform linux/arm; it has linux/amd64, linux/arm64/v8"},
		"no time":      {gates.Gate{MinAge: time.Hour}, "its age is not known"},
		"no referrer":  {gates.Gate{Referrers: []string{"application/spdx+json"}}, "no document of the type application/spdx+json refers to it; nothing refers to it"},
	} {
		err := through(t, y, "src/team/app:v1", c.gate, nil)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (!fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "gate prod refuses "+host+"/team/app:v1@sha256:") || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAGateSaysThatAChoiceOfPlatformsLeavesOutOneThatItRequires(t *testing.T) {
	y := yard.New(t)
	testbed.Index(t, y.Src, "app", "v1", 3)
	k, err := gatekeeper.New(gates.Gate{Name: "prod", Platforms: []string{"linux/amd64", "linux/arm64"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	only, err := oci.ParsePlatforms("linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	_, err = y.Copy(dray.CopyRequest{Source: "src/app:v1", Targets: []string{"dst/app:v1"}, Gate: k, Platforms: plan.Platforms{Only: only}})
	if !fault.Is(err, fault.Refused) || !strings.Contains(err.Error(), "the part of it that is copied lacks the platform linux/arm64; it has linux/amd64") ||
		fault.HintOf(err) != "choose this platform, too, or copy all of them" {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
}

func TestAnImageIsOldEnoughWhenItsMinimumAgeHasPassed(t *testing.T) {
	y := yard.New(t)
	built := time.Now().Add(-2 * time.Hour).UTC().Truncate(time.Second)
	config := fmt.Sprintf(`{"architecture":"amd64","os":"linux","created":%q}`, built.Format(time.RFC3339))
	raw, err := json.Marshal(v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		Config: y.Src.Blob(t, "app", v1.MediaTypeImageConfig, []byte(config)), Layers: []v1.Descriptor{}})
	if err != nil {
		t.Fatal(err)
	}
	y.Src.Manifest(t, "app", "v1", v1.MediaTypeImageManifest, raw)
	if err := through(t, y, "src/app:v1", gates.Gate{MinAge: 3 * time.Hour}, nil); !fault.Is(err, fault.Refused) ||
		!strings.HasSuffix(err.Error(), "it was built at "+built.Format(time.RFC3339)+", less than 3h0m0s ago") ||
		fault.HintOf(err) != "copy it after "+built.Add(3*time.Hour).Format(time.RFC3339) {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
	if err := through(t, y, "src/app:v1", gates.Gate{MinAge: time.Hour}, nil); err != nil {
		t.Error(err)
	}
}

func TestDocumentsOfTheRequiredTypesAreThoseThatReferToTheImageAndItsDigestTags(t *testing.T) {
	y := yard.New(t)
	image := testbed.Random(t, y.Src, "app", "v1", testbed.RandomOptions{})
	testbed.Artifact(t, y.Src, "app", "", image.Root)
	g := gates.Gate{Referrers: []string{testbed.ArtifactType}}
	if err := through(t, y, "src/app:v1", g, nil); err != nil {
		t.Error(err)
	}
	g.Referrers = append(g.Referrers, evidence.TypePayload)
	err := through(t, y, "src/app:v1", g, nil)
	if !fault.Is(err, fault.Refused) || !strings.HasSuffix(err.Error(), "what refers to it has the types application/vnd.example.report.layer.v1+json, "+testbed.ArtifactType) {
		t.Error(err)
	}
	signed(t, y.Src, "app", image.Root, 1)
	if err := through(t, y, "src/app:v1", g, nil); err != nil {
		t.Error(err)
	}
}

func TestFilesOfTrustAreReadBeforeAnyRequest(t *testing.T) {
	key, text := publicKey(t), write(t, "x", []byte("text"))
	bad := write(t, "bad.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}))
	roots := func(path string) gates.Signature {
		return gates.Signature{Keyless: &gates.Keyless{Identity: "a", Issuer: "b", Roots: path}}
	}
	store := t.TempDir()
	for want, s := range map[string]gates.Signature{
		"gone: invalid: no such file or directory":           {Keys: []string{"gone"}},
		text + ": invalid: the file has no public key":       {Keys: []string{key, text}},
		bad + ": invalid: the public key is damaged":         {Keys: []string{bad}},
		text + ": invalid: the file is not a JSON object":    roots(text),
		store + ": invalid: the directory has no truststore": {Notation: &gates.Notation{Store: store, Policy: write(t, "p", []byte("{}"))}},
		"gone.json: invalid: no such file or directory":      {Notation: &gates.Notation{Store: store, Policy: "gone.json"}},
		store + ": invalid: is a directory":                  {Keys: []string{store}},
		"big: invalid: the file is longer than 4 MiB":        {Keys: []string{write(t, "big", make([]byte, 5<<20))}},
	} {
		_, err := gatekeeper.New(gates.Gate{Name: "prod", Signature: s}, nil)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "read gate prod: ") {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	if _, err := gatekeeper.ByKey("--verify-signature "+key, key, nil); err != nil {
		t.Error(err)
	}
}
