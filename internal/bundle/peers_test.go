package bundle_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/internal/testbed"
)

func TestSkopeoAndTarReadABundle(t *testing.T) {
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Skip("skopeo is not installed")
	}
	w := newWorld(t)
	web := testbed.Index(t, w.Src, "team/web", "1.0", 2)
	testbed.Random(t, w.Src, "app", "1.0", testbed.RandomOptions{Seed: 1})
	w.must(w.create(dray.BundleRequest{To: w.path("a.tar")}))
	w.must(w.create(dray.BundleRequest{To: w.path("dir/")}))
	run := func(program string, args ...string) string {
		t.Helper()
		text, err := exec.Command(program, args...).CombinedOutput()
		if err != nil {
			t.Errorf("%s %s: %v\n%s", program, strings.Join(args, " "), err, text)
		}
		return string(text)
	}
	if text := run("skopeo", "inspect", "--raw", "oci-archive:"+w.path("a.tar")+":team/web:1.0"); !strings.Contains(text,
		web.Children[0].Digest.String()) {
		t.Error(text)
	}
	for _, from := range []string{"oci-archive:" + w.path("a.tar"), "oci:" + w.path("dir")} {
		run("skopeo", "copy", "--all", "--preserve-digests", "--dest-tls-verify=false", from+":app:1.0", "docker://"+w.Dst.Host+"/app:1.0")
		testbed.Same(t, w.Src, w.Dst, "app", "1.0", "app", "1.0")
	}

	// What tar extracts is a bundle, too.
	files := w.split("s.tar")
	out := t.TempDir()
	for _, file := range files {
		run("tar", "-xf", file, "-C", out)
	}
	found, err := w.VerifyBundle(t.Context(), []string{out}, nil)
	if err != nil || len(found.Volumes) != len(files) {
		t.Error(found, err)
	}
	w.must(w.load(out))
	testbed.Same(t, w.Src, w.Dst, "app3", "v1", "app3", "v1")
	run("skopeo", "copy", "--preserve-digests", "--dest-tls-verify=false", "oci:"+out+":app2:v1", "docker://"+w.Dst.Host+"/other:v1")
	testbed.Same(t, w.Src, w.Dst, "app2", "v1", "other", "v1")
}
