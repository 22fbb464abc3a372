//nolint:thelper // the functions are tests that run in several ways; t.Helper would hide the line that failed
package dray_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/internal/testbed/tools"
	"github.com/drayage/dray/internal/yard"
	"github.com/drayage/dray/report"
)

// eachWay calls test with pairs of registries: with and without the referrers API on either side.
func eachWay(t *testing.T, test func(t *testing.T, y *yard.Yard)) {
	t.Helper()
	plain := func(t *testing.T) *testbed.Registry { return testbed.Distribution(t, testbed.Options{}) }
	api := func(t *testing.T) *testbed.Registry {
		r, err := registry.Open(t.Context(), registry.Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		return testbed.Serve(t, r, testbed.Options{})
	}
	t.Run("from tags to the API", func(t *testing.T) { test(t, yard.Of(t, plain(t), api(t))) })
	t.Run("from the API to tags", func(t *testing.T) { test(t, yard.Of(t, api(t), plain(t))) })
}

// regclient's testrepo has referrers of indexes and of their children, digest tags, and a loop.
func TestARepositoryOfOddReferrersArrivesCompletely(t *testing.T) {
	eachWay(t, func(t *testing.T, y *yard.Yard) {
		repo := "oci:" + testbed.RegclientRepo(t)
		for _, way := range [][2]string{{repo, "dst/odd"}, {"dst/odd", "src/back"}} {
			_, err := y.Transfer(t.Context(), dray.TransferRequest{Sources: []string{way[0]}, Target: way[1]}, nil,
				func(dray.RepositoryReport) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			of := dray.TransferRequest{Sources: []string{way[0]}, Target: way[1]}
			receipt, err := y.Verify(t.Context(), dray.VerifyRequest{Of: of, Depth: dray.Deep}, nil,
				func(e dray.VerifyEntry) error {
					if e.Match != report.Same {
						t.Errorf("%+v", e)
					}
					return nil
				})
			if err != nil || !receipt.Right() {
				t.Errorf("%+v %v", receipt, err)
			}
		}
		tree, err := y.Tree(t.Context(), dray.LookRequest{Name: "src/back:v2"}, nil)
		if err != nil || tree.Count != 5 || len(tree.Children[0].Referrers) != 1 {
			t.Errorf("%+v %v", tree, err)
		}
	})
}

// moved copies app:v1 from src through a layout to dst, and returns its name there.
func moved(t *testing.T, y *yard.Yard) string {
	t.Helper()
	through := "oci:" + filepath.Join(t.TempDir(), "layout")
	for _, c := range [][2]string{{"src/app:v1", through + ":v1"}, {through + ":v1", "dst/app:v1"}} {
		if _, err := y.Copy(dray.CopyRequest{Source: c[0], Targets: []string{c[1]}}); err != nil {
			t.Fatal(err)
		}
	}
	return y.Dst.Host + "/app:v1"
}

func TestWhatCosignSignedIsVerifiedByCosignAfterACopy(t *testing.T) {
	tools.Find(t, "cosign")
	for _, form := range []tools.Form{tools.Tagged, tools.Referrer, tools.Bundle} {
		t.Run(string(form), func(t *testing.T) {
			eachWay(t, func(t *testing.T, y *yard.Yard) {
				img := testbed.Index(t, y.Src, "app", "v1", 2)
				c := tools.NewCosign(t)
				c.Sign(form, y.Src.Host+"/app@"+img.Digest())
				if form == tools.Tagged {
					c.Attest(y.Src.Host + "/app@" + img.Digest())
				}
				to := moved(t, y)
				if err := c.Verify(form, to); err != nil {
					t.Error(err)
				}
				if form == tools.Tagged {
					if err := c.VerifyAttestation(to); err != nil {
						t.Error(err)
					}
				}
				if err := tools.NewCosign(t).Verify(form, to); err == nil {
					t.Error("another key verifies it too")
				}
			})
		})
	}
}

func TestWhatNotationSignedIsVerifiedByNotationAfterACopy(t *testing.T) {
	eachWay(t, func(t *testing.T, y *yard.Yard) {
		img := testbed.Index(t, y.Src, "app", "v1", 2)
		key, cert := tools.Certificate(t)
		tools.Hands(t, "notation", "sign", y.Src.Host+"/app@"+img.Digest(), key, cert)
		moved(t, y)
		at := y.Dst.Host + "/app@" + img.Digest()
		tools.Hands(t, "notation", "verify", at, cert)
		_, other := tools.Certificate(t)
		if _, err := tools.TryHands(t, "notation", "verify", at, other); err == nil {
			t.Error("another certificate verifies it too")
		}
	})
}

func TestWhatOrasAttachedIsDiscoveredByOrasAfterACopy(t *testing.T) {
	eachWay(t, func(t *testing.T, y *yard.Yard) {
		testbed.Index(t, y.Src, "app", "v1", 2)
		file := filepath.Join(t.TempDir(), "sbom.json")
		if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		const kind = "application/spdx+json"
		tools.Hands(t, "oras", "attach", y.Src.Host+"/app:v1", kind, file)
		sbom := strings.TrimSpace(tools.Hands(t, "oras", "discover", y.Src.Host+"/app:v1", kind))
		tools.Hands(t, "oras", "attach", y.Src.Host+"/app@"+sbom, "application/vnd.example.signature", file)
		to := moved(t, y)
		if got := strings.TrimSpace(tools.Hands(t, "oras", "discover", to, kind)); got != sbom || sbom == "" {
			t.Errorf("%q, want %q", got, sbom)
		}
		if tools.Hands(t, "oras", "discover", y.Dst.Host+"/app@"+sbom, "") == "" {
			t.Error("the signature of the SBOM is not there")
		}
	})
}

func TestAChartThatHelmPushedIsPulledByHelmAfterACopy(t *testing.T) {
	eachWay(t, func(t *testing.T, y *yard.Yard) {
		chart := chartOf(t, "app", "1.2.3+build.4")
		tools.Hands(t, "helm", "push", chart, y.Src.Host+"/app:1.2.3+build.4")
		if _, err := y.Copy(dray.CopyRequest{Source: "src/app:1.2.3_build.4", Targets: []string{"dst/app"}}); err != nil {
			t.Fatal(err)
		}
		pulled := filepath.Join(t.TempDir(), "app.tgz")
		tools.Hands(t, "helm", "pull", y.Dst.Host+"/app:1.2.3+build.4", pulled)
		want, err := os.ReadFile(chart)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(pulled); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, want %d: %v", len(got), len(want), err)
		}
	})
}

// chartOf writes a chart as `helm package` does.
func chartOf(t *testing.T, name, version string) string {
	t.Helper()
	var file bytes.Buffer
	z := gzip.NewWriter(&file)
	w := tar.NewWriter(z)
	for _, f := range [][2]string{
		{name + "/Chart.yaml", "apiVersion: v2\nname: " + name + "\nversion: " + version + "\n"}, {name + "/values.yaml", "replicas: 1\n"},
	} {
		if err := w.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+"-"+version+".tgz")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
