package cli_test

import (
	"encoding/json"
	"os"
	"strings"

	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/drayage/dray/internal/testbed"
)

// sign stores a document like those of cosign under the digest tag of an image: sign REGISTRY REPO TAG SIGNATURE.
func (s *script) sign(ts *testscript.TestScript, args []string) {
	r, repo := s.registries[args[0]], args[1]
	layer := r.Blob(s.tb, repo, "application/vnd.dev.cosign.simplesigning.v1+json", []byte(`{"critical":{}}`))
	layer.Annotations = map[string]string{"dev.cosignproject.cosign/signature": args[3]}
	raw, err := json.Marshal(v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		Config: r.Blob(s.tb, repo, v1.MediaTypeImageConfig, []byte("{}")), Layers: []v1.Descriptor{layer}})
	ts.Check(err)
	tag := strings.Replace(testbed.CraneDigest(s.tb, r, repo, args[2]), ":", "-", 1) + ".sig"
	r.Manifest(s.tb, repo, tag, v1.MediaTypeImageManifest, raw)
}

// verifier returns the drayd of a script, which is a file in its directory.
func verifier(ts *testscript.TestScript) func() (string, error) {
	return func() (string, error) {
		path := ts.MkAbs("drayd")
		_, err := os.Stat(path)
		return path, err
	}
}
