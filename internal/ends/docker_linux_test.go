package ends_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/internal/ends"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// dockerd starts a daemon of Docker with directories of its own, without a bridge and without rules of iptables, and
// returns a client for its socket. It ends with the test, or with the process. Without a daemon in PATH, or without
// root, the test is skipped.
func dockerd(t *testing.T) *http.Client {
	t.Helper()
	program, err := exec.LookPath("dockerd")
	if err != nil {
		t.Skip("SKIPPED: dockerd (Debian package docker.io) is not installed")
	}
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: dockerd needs root")
	}
	dir, err := os.MkdirTemp("", "dray-dockerd-") //nolint:usetesting // t.TempDir is too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "socket")
	cmd := exec.Command("sh", "-c", `exec 3<&0; "$@" & p=$!; (cat <&3; kill $p) >/dev/null 2>&1 & wait $p`, "sh", program,
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid"),
		"--host", "unix://"+socket, "--bridge=none", "--iptables=false", "--ip-masq=false", "--storage-driver=vfs")
	var story bytes.Buffer
	cmd.Stdout, cmd.Stderr = &story, &story
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		stdin.Close()
		<-ended
	})
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial}}
	t.Cleanup(client.CloseIdleConnections)
	for give := time.Now().Add(2 * time.Minute); ; {
		if res, err := client.Get("http://docker/_ping"); err == nil {
			res.Body.Close()
			return client
		}
		select {
		case <-ended:
			t.Skipf("SKIPPED: dockerd does not start here:\n%s", story.String())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(give) {
			t.Fatal("dockerd does not answer")
		}
	}
}

// answer sends a request to the daemon, and returns the body of the answer.
func answer(t *testing.T, docker *http.Client, method, path string, body io.Reader) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://docker"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-tar")
	res, err := docker.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %v\n%s", method, path, res.Status, err, raw)
	}
	return raw
}

// layered puts an image with one plain and one compressed layer, which hold files a and b.
func layered(t *testing.T, to ends.Target, tags ...string) oci.Document {
	t.Helper()
	plain, other := layerOf("a"), layerOf("b")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(other); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	config := put(t, to, "application/vnd.oci.image.config.v1+json", fmt.Sprintf(
		`{"architecture":"amd64","os":"linux","config":{"Cmd":["a"]},"rootfs":{"type":"layers","diff_ids":[%q,%q]}}`, oci.Sum(plain), oci.Sum(other)))
	one := put(t, to, "application/vnd.oci.image.layer.v1.tar", string(plain))
	two := put(t, to, "application/vnd.oci.image.layer.v1.tar+gzip", packed.String())
	doc := parsed(t, fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s,%s]}`,
		oci.TypeManifest, raw(t, config), raw(t, one), raw(t, two)))
	document(t, to, doc, tags...)
	return doc
}

func TestDockerLoadsWhatIsWrittenAndItsSavedImageIsRead(t *testing.T) {
	docker := dockerd(t)
	end := at(t, ref.DockerArchive, "x.tar")
	w := writing(t)
	doc := layered(t, target(t, w, end.In("docker.io/team/app")), "v1")
	if err := commit(t, w); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(end.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if said := answer(t, docker, http.MethodPost, "/images/load", f); !strings.Contains(string(said), "Loaded image: team/app:v1") {
		t.Errorf("docker says %s", said)
	}
	var has struct {
		ID     string `json:"Id"`
		RootFS struct{ Layers []oci.Digest }
	}
	if err := json.Unmarshal(answer(t, docker, http.MethodGet, "/images/team/app:v1/json", nil), &has); err != nil {
		t.Fatal(err)
	}
	if has.ID != string(doc.Config.Digest) && has.ID != string(doc.Digest) || len(has.RootFS.Layers) != 2 || has.RootFS.Layers[1] != oci.Sum(layerOf("b")) {
		t.Errorf("docker has %+v", has)
	}
	back := at(t, ref.DockerArchive, "back.tar")
	if err := os.WriteFile(back.Dir, answer(t, docker, http.MethodGet, "/images/team/app:v1/get", nil), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := opened(t, back.In("docker.io/team/app"))
	if err != nil {
		t.Fatal(err)
	}
	if got := whole(t, d, "v1"); got.Config.Digest != doc.Config.Digest || len(got.Blobs) != 3 {
		t.Errorf("saved: %+v, want the config %s", got.Blobs, doc.Config.Digest)
	}
}

func TestUmociUnpacksWhatSkopeoReadsFromAnArchiveOfDocker(t *testing.T) {
	for _, program := range []string{"skopeo", "umoci"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("SKIPPED: " + program + " (Debian package) is not installed")
		}
	}
	end := at(t, ref.DockerArchive, "x.tar")
	w := writing(t)
	layered(t, target(t, w, end.In("docker.io/team/app")), "v1")
	if err := commit(t, w); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	image := filepath.Join(dir, "image") + ":v1"
	for _, args := range [][]string{
		{"skopeo", "copy", "--insecure-policy", end.String() + ":team/app:v1", "oci:" + image},
		{"umoci", "unpack", "--rootless", "--image", image, filepath.Join(dir, "bundle")},
	} {
		if said, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, said)
		}
	}
	files, err := os.ReadDir(filepath.Join(dir, "bundle", "rootfs"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%v %v", files, err)
	}
	for _, f := range files {
		if got, err := os.ReadFile(filepath.Join(dir, "bundle", "rootfs", f.Name())); err != nil || string(got) != f.Name() {
			t.Errorf("%s: %q %v", f.Name(), got, err)
		}
	}
}
