package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/server"
)

// azure is a server with TLS for Azure's clients.
type azure struct {
	*running
	root  string // the file of the certificate authority
	data  string // the directory of the server
	token string // of sdk, who may do everything below sdk/
	env   []string
}

func newAzure(t *testing.T, registries map[string]dray.Registry, rules ...access.Rule) *azure {
	t.Helper()
	return newAzureWith(t, server.Config{Dray: dray.Config{Registries: registries}}, rules...)
}

func newAzureWith(t *testing.T, c server.Config, rules ...access.Rule) *azure {
	t.Helper()
	ca, dir := newAuthority(t), t.TempDir()
	cert, key := ca.pair(dir, "dray", "*.dray.test", "dray.test")
	a := &azure{root: filepath.Join(dir, "ca.pem"), data: t.TempDir(), env: []string{"NO_PROXY=*"}}
	ca.write(a.root, "CERTIFICATE", ca.cert.Raw)
	c.Data, c.TLS, c.Htpasswd, c.Roles = a.data, server.TLS{Cert: cert, Key: key}, users(t, "admin"), map[string]access.Role{"admin": access.Admin}
	c.Rules = append([]access.Rule{
		{Principals: []string{"sdk"}, Verbs: []string{"pull"}, Sources: []string{"127.0.0.1:*/sdk/**"}},
		{Principals: []string{"sdk"}, Verbs: []string{"push", "delete"}, Targets: []string{"127.0.0.1:*/sdk/**"}, Rights: access.Rights},
		{Principals: []string{access.Anonymous}, Verbs: []string{"pull"}, Sources: []string{"127.0.0.1:*/public/**"}},
	}, rules...)
	a.running = run(t, c)
	a.base = strings.Replace(a.base, "http:", "https:", 1)
	a.http = ca.client()
	a.token = a.running.token("sdk", access.Submitter).Reveal()
	return a
}

// push puts an image of the platform linux/amd64 with one layer.
func (a *azure) push(t *testing.T, repo, tag, content string) string {
	t.Helper()
	put := func(method, path, kind, body string, want int) {
		t.Helper()
		resp := a.as("admin", method, path, strings.NewReader(body), "Content-Type: "+kind)
		if resp.StatusCode != want {
			t.Fatal(method, path, resp.Status)
		}
	}
	config, layer := `{"architecture":"amd64","os":"linux","x":"`+content+`"}`, strings.Repeat(content, 100)
	for _, blob := range []string{config, layer} {
		resp := a.as("admin", "POST", "/v2/"+repo+"/blobs/uploads/", nil)
		at := strings.TrimPrefix(resp.Header.Get("Location"), a.base)
		put("PUT", at+"&digest="+digest.FromString(blob).String(), "application/octet-stream", blob, 201)
	}
	manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d}]}`,
		digest.FromString(config), len(config), digest.FromString(layer), len(layer))
	put("PUT", "/v2/"+repo+"/manifests/"+tag, "application/vnd.oci.image.manifest.v1+json", manifest, 201)
	return digest.FromString(manifest).String()
}

// azureTool returns the path of what `make clients` installs for Azure's clients.
func azureTool(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "..", ".tools", "azure", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED: .tools/azure/%s is not installed (make clients)", name)
	}
	return path
}

// wanted is what each SDK gets. The programs in testdata/azure have the same keys.
const wanted = `{
	"repositories": ["sdk/app"], "counts": [3, 4], "times": true,
	"newest first": ["v3", "v2", "v1"], "oldest first": ["v1", "v2", "v3"], "untagged": 1,
	"manifest": ["amd64", "linux", true, ["v1"]], "tag": true,
	"locked": [false, false, true], "delete what is locked": [405, 405, 405], "put over what is locked": 405,
	"unlocked": [true, true], "repository": false, "delete in a locked repository": 405, "manifest locked": false,
	"blob": [4000, true, true], "copy": true,
	"after delete_tag": [404, 0], "after delete_manifest": 404, "after delete_repository": [404, []],
	"anonymous": [["v1"], 401]
}`

// fill pushes what wanted describes.
func (a *azure) fill(t *testing.T) {
	t.Helper()
	for i, tag := range []string{"v1", "v2", "v3"} {
		a.push(t, "sdk/app", tag, tag)
		// The clock of the file system may be too coarse for three pushes.
		link := filepath.Join(a.data, "storage/docker/registry/v2/repositories/sdk/app/_manifests/tags", tag, "current/link")
		when := time.Now().Add(time.Duration(i) * time.Second)
		if err := os.Chtimes(link, when, when); err != nil {
			t.Fatal(err)
		}
	}
	bare := a.push(t, "sdk/app", "bare", "bare")
	if resp := a.as("admin", "DELETE", "/v2/sdk/app/manifests/bare", nil); resp.StatusCode != http.StatusAccepted {
		t.Fatal(resp.Status, bare)
	}
	a.push(t, "public/app", "v1", "public")
}

func (a *azure) want(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.Env = append(os.Environ(), "DRAY_TOKEN="+a.token, "NO_PROXY=*")
	cmd.Env = append(cmd.Env, "REQUESTS_CA_BUNDLE="+a.root, "NODE_EXTRA_CA_CERTS="+a.root)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), said.String())
	}
	var got, want map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err, out.String())
	}
	if err := json.Unmarshal([]byte(wanted), &want); err != nil {
		t.Fatal(err)
	}
	for key := range want {
		if g, w := fmt.Sprint(got[key]), fmt.Sprint(want[key]); g != w {
			t.Errorf("%s: %s, want %s", key, g, w)
		}
	}
}

func TestAzuresPythonSDKReadsLocksAndDeletes(t *testing.T) {
	t.Parallel()
	python := filepath.Join(azureTool(t, "python"), "bin", "python3")
	a := newAzure(t, nil)
	a.fill(t)
	a.want(t, exec.CommandContext(t.Context(), python, "testdata/azure/sdk.py", a.base, "sdk/app"))
}

func TestAzuresJavaScriptSDKReadsLocksAndDeletes(t *testing.T) {
	t.Parallel()
	modules := azureTool(t, "js")
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("SKIPPED: node is not installed (apt-get install nodejs)")
	}
	a := newAzure(t, nil)
	a.fill(t)
	a.want(t, exec.CommandContext(t.Context(), "node", "testdata/azure/sdk.mjs", modules, a.base, "sdk/app"))
}

func TestAzuresJavaSDKReadsLocksAndDeletes(t *testing.T) {
	t.Parallel()
	jars := azureTool(t, "java")
	for _, program := range []string{"java", "keytool"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED: %s is not installed (apt-get install default-jdk-headless)", program)
		}
	}
	a := newAzure(t, nil)
	a.fill(t)
	trusted := filepath.Join(t.TempDir(), "trusted.p12")
	if said, err := exec.CommandContext(t.Context(), "keytool", "-importcert", "-noprompt", "-alias", "dray", "-storetype", "PKCS12",
		"-storepass", "changeit", "-keystore", trusted, "-file", a.root).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	a.want(t, exec.CommandContext(t.Context(), "java", "-XX:TieredStopAtLevel=1", "-Djavax.net.ssl.trustStore="+trusted, "-Djavax.net.ssl.trustStorePassword=changeit",
		"-cp", filepath.Join(jars, "*"), "testdata/azure/Sdk.java", a.base, "sdk/app"))
}

func TestLocksAndTimesAreInABackup(t *testing.T) {
	t.Parallel()
	a := newAzure(t, nil)
	a.fill(t)
	patch := func(path, body string) {
		t.Helper()
		if resp := a.as("admin", "PATCH", path, strings.NewReader(body)); resp.StatusCode != http.StatusOK {
			t.Fatal(path, resp.Status)
		}
	}
	patch("/acr/v1/sdk/app/_tags/v1", `{"writeEnabled":false}`)
	patch("/acr/v1/public/app", `{"listEnabled":false}`)
	read := func(a *azure) (tags, catalog string) {
		raw, _ := io.ReadAll(a.as("admin", "GET", "/acr/v1/sdk/app/_tags", nil).Body)
		names, _ := io.ReadAll(a.as("admin", "GET", "/v2/_catalog", nil).Body)
		return strings.ReplaceAll(string(raw), strings.TrimPrefix(a.base, "https://"), ""), string(names)
	}
	tags, catalog := read(a)
	if !strings.Contains(tags, `"writeEnabled":false`) || catalog != `{"repositories":["sdk/app"]}` {
		t.Error(tags, catalog)
	}
	saved, restored := filepath.Join(t.TempDir(), "saved"), filepath.Join(t.TempDir(), "restored")
	if _, err := server.Backup(t.Context(), server.Config{Data: a.data}, saved); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Restore(t.Context(), server.Config{Data: restored}, saved); err != nil {
		t.Fatal(err)
	}
	again := &azure{running: run(t, server.Config{Data: restored, Htpasswd: users(t, "admin"), Roles: map[string]access.Role{"admin": access.Admin}})}
	now, listed := read(again)
	if now = strings.ReplaceAll(now, strings.TrimPrefix(again.base, "http://"), ""); now != tags || listed != catalog {
		t.Errorf("%s\n%s\n%s %s", now, tags, listed, catalog)
	}
	if resp := again.as("admin", "DELETE", "/v2/sdk/app/manifests/v1", nil); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Error(resp.Status)
	}
}
