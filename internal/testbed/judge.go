package testbed

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	crane "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Tally counts what a judge has read, each content once.
type Tally struct {
	Manifests, Blobs int
	Bytes            int64 // of blobs
}

// Same fails the test unless a tag or digest at the target is the image at the source, byte for
// byte: the same root, and at the target every child, config and layer with its digest and size.
// Content that the source lacks too (foreign layers, children of a sparse index) is not required.
// Both sides are read behind their fronts.
func Same(tb testing.TB, from, to *Registry, fromRepo, fromRef, toRepo, toRef string) Tally {
	tb.Helper()
	w := walk{tb: tb, from: from, to: to, fromRepo: fromRepo, toRepo: toRepo, seen: map[digest.Digest]bool{}}
	want := from.raw(tb, fromRepo, fromRef)
	got := to.raw(tb, toRepo, toRef)
	switch {
	case want == nil:
		tb.Errorf("source: no manifest %s:%s", fromRepo, fromRef)
	case got == nil:
		tb.Errorf("target: no manifest %s:%s", toRepo, toRef)
	case !bytes.Equal(want, got):
		tb.Errorf("target: %s:%s is %s, want %s", toRepo, toRef, digest.FromBytes(got), digest.FromBytes(want))
	default:
		w.document(v1.Descriptor{Digest: digest.FromBytes(want), Size: int64(len(want))})
	}
	return w.Tally
}

// raw returns a manifest, or nil if it does not exist.
func (r *Registry) raw(tb testing.TB, repo, ref string) []byte {
	tb.Helper()
	var b bytes.Buffer
	resp := r.Direct(tb, http.MethodGet, "/v2/"+repo+"/manifests/"+ref, EveryType(), nil, &b)
	if resp.StatusCode != http.StatusOK {
		return nil
	}
	return b.Bytes()
}

type walk struct {
	tb               testing.TB
	from, to         *Registry
	fromRepo, toRepo string
	seen             map[digest.Digest]bool
	Tally
}

func (w *walk) document(d v1.Descriptor) {
	w.tb.Helper()
	if w.seen[d.Digest] {
		return
	}
	w.seen[d.Digest] = true
	raw := w.to.raw(w.tb, w.toRepo, d.Digest.String())
	if raw == nil {
		if w.from.raw(w.tb, w.fromRepo, d.Digest.String()) != nil {
			w.tb.Errorf("target: no manifest %s@%s", w.toRepo, d.Digest)
		}
		return
	}
	if d.Digest.Algorithm().FromBytes(raw) != d.Digest || int64(len(raw)) != d.Size {
		w.tb.Errorf("target: manifest %s@%s is corrupt", w.toRepo, d.Digest)
		return
	}
	w.Manifests++
	doc, err := ReadDocument(raw)
	if err != nil {
		w.tb.Errorf("target: manifest %s@%s: %v", w.toRepo, d.Digest, err)
	}
	for _, child := range doc.Manifests {
		w.document(child)
	}
	for _, blob := range doc.Blobs() {
		w.blob(blob)
	}
}

func (w *walk) blob(d v1.Descriptor) {
	w.tb.Helper()
	if w.seen[d.Digest] {
		return
	}
	w.seen[d.Digest] = true
	v := &sizer{hash: d.Digest.Verifier()}
	resp := w.to.Direct(w.tb, http.MethodGet, "/v2/"+w.toRepo+"/blobs/"+d.Digest.String(), nil, nil, v)
	if resp.StatusCode != http.StatusOK {
		source := w.from.Direct(w.tb, http.MethodHead, "/v2/"+w.fromRepo+"/blobs/"+d.Digest.String(), nil, nil, nil)
		if source.StatusCode == http.StatusOK {
			w.tb.Errorf("target: no blob %s@%s: %s", w.toRepo, d.Digest, resp.Status)
		}
		return
	}
	if !v.hash.Verified() || v.n != d.Size {
		w.tb.Errorf("target: blob %s@%s is corrupt: %d bytes, want %d", w.toRepo, d.Digest, v.n, d.Size)
	}
	w.Blobs++
	w.Bytes += v.n
}

type sizer struct {
	hash digest.Verifier
	n    int64
}

func (s *sizer) Write(p []byte) (int, error) {
	s.n += int64(len(p))
	return s.hash.Write(p)
}

// Document holds the parts of a manifest or index that a walk needs.
type Document struct {
	Config    *v1.Descriptor  `json:"config"`
	Layers    []v1.Descriptor `json:"layers"`
	Manifests []v1.Descriptor `json:"manifests"`
}

// ReadDocument parses a manifest or an index.
func ReadDocument(raw []byte) (Document, error) {
	var d Document
	err := json.Unmarshal(raw, &d)
	return d, err
}

// Blobs returns the config and the layers.
func (d Document) Blobs() []v1.Descriptor {
	if d.Config == nil {
		return d.Layers
	}
	return append([]v1.Descriptor{*d.Config}, d.Layers...)
}

// login returns the first user of the registry, or "" if it requires no login.
func (r *Registry) login() (user, password string) {
	if r.auth.Mode == None {
		return "", ""
	}
	all := r.auth.users()
	for name := range all {
		if user == "" || name < user {
			user = name
		}
	}
	return user, all[user]
}

// CraneDigest reads an image with go-containerregistry's client, over the network and with a login.
// It reads every layer of every platform, and the client checks the digests. It returns the root
// digest. The Registry must be on Loopback.
func CraneDigest(tb testing.TB, r *Registry, repo, ref string) string {
	tb.Helper()
	at, err := name.ParseReference(r.Host+"/"+repo+separator(ref)+ref, name.Insecure)
	if r.cert != nil && err == nil {
		at, err = name.ParseReference(r.Host + "/" + repo + separator(ref) + ref)
	}
	if err != nil {
		tb.Fatal(err)
	}
	options := []remote.Option{remote.WithContext(tb.Context()), remote.WithTransport(r.Client.Transport)}
	if user, password := r.login(); user != "" {
		options = append(options, remote.WithAuth(&authn.Basic{Username: user, Password: password}))
	}
	got, err := remote.Get(at, options...)
	if err != nil {
		tb.Fatalf("crane: %v", err)
	}
	if got.MediaType.IsIndex() {
		index, err := got.ImageIndex()
		if err != nil {
			tb.Fatalf("crane: %v", err)
		}
		craneIndex(tb, index)
		return got.Digest.String()
	}
	image, err := got.Image()
	if err != nil {
		tb.Fatalf("crane: %v", err)
	}
	craneImage(tb, image)
	return got.Digest.String()
}

func craneIndex(tb testing.TB, index crane.ImageIndex) {
	tb.Helper()
	all, err := index.IndexManifest()
	if err != nil {
		tb.Fatalf("crane: %v", err)
	}
	for _, d := range all.Manifests {
		if d.MediaType.IsIndex() {
			child, err := index.ImageIndex(d.Digest)
			if err != nil {
				tb.Fatalf("crane: %v", err)
			}
			craneIndex(tb, child)
			continue
		}
		child, err := index.Image(d.Digest)
		if err != nil {
			tb.Fatalf("crane: %v", err)
		}
		craneImage(tb, child)
	}
}

// craneImage reads every blob to its end, which is where the client checks digests.
func craneImage(tb testing.TB, image crane.Image) {
	tb.Helper()
	if _, err := image.RawConfigFile(); err != nil {
		tb.Fatalf("crane: config: %v", err)
	}
	layers, err := image.Layers()
	if err != nil {
		tb.Fatalf("crane: %v", err)
	}
	for _, l := range layers {
		body, err := l.Compressed()
		if err != nil {
			tb.Fatalf("crane: layer: %v", err)
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			tb.Fatalf("crane: layer: %v", err)
		}
		_ = body.Close()
	}
}

// SkopeoInspect returns the digest of what skopeo reads under a tag or digest, over the network and
// with a login. If skopeo is not installed, the test is skipped.
func SkopeoInspect(tb testing.TB, r *Registry, repo, ref string) string {
	tb.Helper()
	args := append([]string{"inspect", "--raw", "--tls-verify=false"}, r.creds("--creds")...)
	return digest.FromBytes(tool(tb, "skopeo", append(args, r.docker(repo, ref))...)).String()
}

// SkopeoCopy lets skopeo copy an image, all platforms and every blob, to a new OCI layout under the
// tag "judged". It returns the layout's directory. Images of Docker media types are converted. If
// skopeo is not installed, the test is skipped.
func SkopeoCopy(tb testing.TB, r *Registry, repo, ref string) string {
	tb.Helper()
	return r.pull(tb, repo, ref, "--all")
}

func (r *Registry) pull(tb testing.TB, repo, ref string, more ...string) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "layout")
	args := append([]string{"--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"}, more...)
	args = append(args, r.creds("--src-creds")...)
	tool(tb, "skopeo", append(args, r.docker(repo, ref), "oci:"+dir+":judged")...)
	return dir
}

// UmociUnpack unpacks the image for this machine's architecture (linux) and returns the directory
// of its root file system. skopeo downloads it. If umoci or skopeo is not installed, the test is
// skipped.
func UmociUnpack(tb testing.TB, r *Registry, repo, ref string) string {
	tb.Helper()
	requireProgram(tb, "umoci")
	layout := r.pull(tb, repo, ref, "--override-os=linux", "--override-arch="+runtime.GOARCH)
	bundle := filepath.Join(tb.TempDir(), "bundle")
	args := []string{"unpack"}
	if os.Getuid() != 0 {
		args = append(args, "--rootless")
	}
	tool(tb, "umoci", append(args, "--image", layout+":judged", bundle)...)
	return filepath.Join(bundle, "rootfs")
}

func (r *Registry) docker(repo, ref string) string {
	return "docker://" + r.Host + "/" + repo + separator(ref) + ref
}

func (r *Registry) creds(flag string) []string {
	user, password := r.login()
	if user == "" {
		return nil
	}
	return []string{flag, user + ":" + password}
}

func separator(ref string) string {
	if strings.Contains(ref, ":") {
		return "@"
	}
	return ":"
}

// tool runs a program of another project and returns its stdout. If the program is not installed,
// the test is skipped.
func tool(tb testing.TB, program string, args ...string) []byte {
	tb.Helper()
	requireProgram(tb, program)
	cmd := exec.CommandContext(tb.Context(), program, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		shown := slices.DeleteFunc(slices.Clone(args), func(s string) bool { return strings.Contains(s, "creds") })
		tb.Fatalf("%s %s: %v\n%s", program, strings.Join(shown, " "), err, stderr.String())
	}
	return out
}

func requireProgram(tb testing.TB, program string) {
	tb.Helper()
	if _, err := exec.LookPath(program); err != nil {
		tb.Skip(program + " (Debian package) is not installed")
	}
}
