package cli_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
)

// end is a place of one kind that an image can be copied from and to.
type end struct {
	kind string
	at   *testbed.Registry // nil on disk
	name string            // of the image there
	read string            // the same, as a source; "" means name
}

// ends returns a new end of each kind.
func ends(t *testing.T) []end {
	t.Helper()
	dir := t.TempDir()
	api := testbed.Sloppy(t, testbed.Options{Referrers: testbed.WithReferrers})
	without := testbed.Distribution(t, testbed.Options{})
	archive := "oci-archive:" + filepath.Join(dir, "y.tar")
	return []end{
		{kind: "registry", at: api, name: api.Host + "/team/app:v1"},
		{kind: "registry without the API", at: without, name: without.Host + "/team/app:v1"},
		{kind: "oci", name: "oci:" + filepath.Join(dir, "layout") + ":v1"},
		{kind: "oci with whole names", name: "oci:" + filepath.Join(dir, "whole") + ":docker.io/team/app:v1"},
		{kind: "oci-archive", name: "oci-archive:" + filepath.Join(dir, "x.tar.gz") + ":v1"},
		{kind: "oci-archive, read without a tag", name: archive + ":v1", read: archive},
		{kind: "docker-archive", name: "docker-archive:" + filepath.Join(dir, "z.tar") + ":docker.io/team/app:v1"},
		{kind: "dir", name: "dir:" + filepath.Join(dir, "folder")},
	}
}

// try runs a command, and returns what it prints.
func try(t *testing.T, home, args string) (code int, out, err string) {
	t.Helper()
	var o, e bytes.Buffer
	code = program(t.Context(), strings.Fields(args), app.IO{In: strings.NewReader(""), Out: &o, Err: &e, Env: noEnv, Home: home})
	return code, o.String(), e.String()
}

// signedImage stores an image with an SBOM, a signature of the SBOM, a signature of a child, and digest tags.
func signedImage(t *testing.T, r *testbed.Registry, platforms int) {
	t.Helper()
	img := testbed.Random(t, r, "team/app", "v1", testbed.RandomOptions{Seed: 1, Size: 100})
	if platforms > 1 {
		img = testbed.Index(t, r, "team/app", "v1", platforms)
	}
	sbom := testbed.Artifact(t, r, "team/app", "", img.Root)
	testbed.Artifact(t, r, "team/app", "", sbom.Root)
	for _, c := range img.Children {
		testbed.Artifact(t, r, "team/app", "", oci.Descriptor{MediaType: c.MediaType, Digest: c.Digest, Size: c.Size})
	}
	for _, ending := range []string{".sig", ".att"} {
		testbed.Artifact(t, r, "team/app", oci.FallbackTag(img.Root.Digest)+ending, oci.Descriptor{})
	}
}

// For each two kinds of ends: copy brings a signed image whole, verify finds all of it, and nothing is sent
// twice. What an end cannot hold is refused or named.
func TestASignedImageGoesFromEveryKindOfEndToEveryOther(t *testing.T) {
	home := t.TempDir()
	for _, platforms := range []int{1, 2} {
		origin := testbed.Sloppy(t, testbed.Options{Referrers: testbed.WithReferrers})
		signedImage(t, origin, platforms)
		first := end{kind: "first", at: origin, name: origin.Host + "/team/app:v1"}
		for i, source := range ends(t) {
			if !arrives(t, home, first, source, platforms) {
				continue
			}
			for j, target := range ends(t) {
				if !testing.Short() || (i+j)%4 == 0 {
					arrives(t, home, source, target, platforms)
				}
			}
		}
	}
}

// arrives copies an image, verifies it and copies it again. It returns false if the target cannot hold it.
func arrives(t *testing.T, home string, source, target end, platforms int) bool {
	t.Helper()
	from := cmp.Or(source.read, source.name)
	pair := fmt.Sprintf("%s to %s, %d platforms: ", source.kind, target.kind, platforms)
	copies := "copy "
	if platforms == 1 {
		copies += "--include-foreign " // the source is then read through what has its foreign layers
	}
	code, _, text := try(t, home, copies+from+" "+target.name)
	if target.kind == "docker-archive" && platforms > 1 {
		if code != 8 || !strings.Contains(text, "choose one with --platform") {
			t.Errorf("%scopy: %d\n%s", pair, code, text)
		}
		return false
	}
	if code != 0 {
		t.Errorf("%scopy: %d\n%s", pair, code, text)
		return false
	}
	refused := 0
	if target.kind == "dir" && source.kind != "dir" {
		refused = 2
	}
	if n := strings.Count(text, "not copied, because the target refuses it"); n != refused {
		t.Errorf("%s%d referrers are refused, want %d\n%s", pair, n, refused, text)
	}
	if code, out, text := try(t, home, "verify --deep "+source.name+" "+target.name); code != 0 {
		t.Errorf("%sverify: %d\n%s%s", pair, code, out, text)
	}
	if target.at != nil {
		target.at.Reset()
	}
	code, out, text := try(t, home, copies+"-o json --referrers=sync "+from+" "+target.name)
	var got struct {
		Steps []struct{ Blobs struct{ Sent int } }
	}
	err := json.Unmarshal([]byte(out), &got)
	if code != 0 || err != nil || len(got.Steps) != 1 || got.Steps[0].Blobs.Sent != 0 || strings.Contains(text, ".dray-part") {
		t.Errorf("%sthe second copy: %d %v\n%s%s", pair, code, err, out, text)
	}
	if target.at != nil && target.at.Count(http.MethodPut, "") != 0 {
		t.Errorf("%sthe second copy puts again\n%s", pair, target.at.Story())
	}
	return true
}
