package migrate_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

func withReferrers() testbed.Options { return testbed.Options{Referrers: testbed.WithReferrers} }

// signed fills a repository with random images and indexes, and with what refers to them and to their
// children: artifacts of artifacts, and digest tags.
func signed(t *testing.T, rng *rand.Rand, r *testbed.Registry, repo string) {
	t.Helper()
	var documents []oci.Descriptor
	for i := range 2 + rng.IntN(3) {
		tag := fmt.Sprintf("v%d", i)
		img := testbed.Image{}
		if rng.IntN(2) == 0 {
			img = testbed.Index(t, r, repo, tag, 1+rng.IntN(3))
		} else {
			img = testbed.Random(t, r, repo, tag, testbed.RandomOptions{Seed: rng.Uint64N(1000), Size: 100})
		}
		documents = append(documents, img.Root)
		for _, c := range img.Children {
			documents = append(documents, oci.Descriptor{MediaType: c.MediaType, Digest: c.Digest, Size: c.Size})
		}
	}
	for range rng.IntN(8) {
		of := documents[rng.IntN(len(documents))]
		if rng.IntN(3) > 0 {
			documents = append(documents, testbed.Artifact(t, r, repo, "", of).Root)
			continue
		}
		ending := []string{".sig", ".att", ".sbom"}[rng.IntN(3)]
		documents = append(documents, testbed.Artifact(t, r, repo, oci.FallbackTag(of.Digest)+ending, oci.Descriptor{}).Root)
	}
}

// For any images and anything that refers to them: what a transfer brings is what a verification looks for, and
// a second transfer sends nothing.
func TestAVerificationFindsAllThatATransferOfSignedImagesBrings(t *testing.T) {
	rounds := 16
	if testing.Short() {
		rounds = 5
	}
	for round := range rounds {
		t.Run(strconv.Itoa(round), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(11, uint64(round)))
			target := testbed.Sloppy(t, withReferrers())
			if round%2 == 1 {
				target = testbed.Distribution(t, testbed.Options{Content: testbed.Open}) // has no referrers API
			}
			y := yard.Of(t, testbed.Sloppy(t, withReferrers()), target)
			signed(t, rng, y.Src, "app")
			dir := filepath.Join(t.TempDir(), "disk")
			req := dray.TransferRequest{Sources: []string{"src/app"}, Target: "dst/app"}
			if rng.IntN(2) == 0 {
				req.Selection = plan.Selection{} // all tags, the digest tags among them
			} else {
				words := plan.Words{IncludeTags: []string{"v*"}}
				sel, err := words.Selection(time.Now())
				if err != nil {
					t.Fatal(err)
				}
				req.Selection = sel
			}
			wholeAfter(y, req)
			toDisk := req
			toDisk.Target = "oci:" + dir
			wholeAfter(y, toDisk)
			another := dray.TransferRequest{Sources: []string{"oci:" + dir}, Target: "oci:" + dir + "2"}
			wholeAfter(y, another)
			archive := dray.TransferRequest{Sources: another.Sources, Target: "oci-archive:" + dir + ".tar"}
			wholeAfter(y, archive)
			for i, from := range []string{another.Target, archive.Target} {
				back := dray.TransferRequest{Sources: []string{from}, Target: fmt.Sprintf("dst/again%d", i)}
				wholeAfter(y, back)
			}
		})
	}
}

// wholeAfter transfers, verifies and transfers again.
func wholeAfter(y *yard.Yard, req dray.TransferRequest) {
	y.T.Helper()
	if got, sum, err := y.Transferred(req); err != nil {
		y.T.Fatalf("%s %v %+v", got, err, sum)
	}
	y.Verifies("", dray.VerifyRequest{Of: req, Depth: dray.Rehash})
	y.Forget()
	if got, sum, err := y.Transferred(req); err != nil || sum.Blobs.Sent != 0 || y.Dst.Count(http.MethodPut, "") != 0 {
		y.T.Errorf("the second transfer: %s %v %+v\n%s", got, err, sum, y.Dst.Story())
	}
	req.Heal = true
	if got, sum, err := y.Transferred(req); err != nil || sum.Healed != 0 || y.Dst.Count(http.MethodPut, "") != 0 {
		y.T.Errorf("a transfer that heals: %s %v %+v\n%s", got, err, sum, y.Dst.Story())
	}
}
