package cli_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/internal/testbed/tricks"
)

// liar is a registry that hides characters in all that it says: names, platforms, types, annotations, errors, warnings.
type liar struct {
	index    []byte
	contents map[string][]byte // by digest
	kinds    map[string]string
}

func digestOf(raw []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(raw)) }

func (l *liar) add(kind string, v any) map[string]any {
	raw, _ := json.Marshal(v)
	l.contents[digestOf(raw)], l.kinds[digestOf(raw)] = raw, kind
	return map[string]any{"mediaType": kind, "digest": digestOf(raw), "size": len(raw)}
}

func newLiar(t *testing.T) *httptest.Server {
	t.Helper()
	const manifest, index = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
	l := &liar{contents: map[string][]byte{}, kinds: map[string]string{}}
	lies := map[string]string{tricks.Text: tricks.Text, "org.opencontainers.image.title": tricks.Text}
	config := l.add("application/vnd.oci.image.config.v1+json", map[string]any{
		"os": "linux" + tricks.Text, "architecture": tricks.Text, "variant": tricks.Text, "created": "2026-11-29T00:00:00Z",
		"config": map[string]any{"Labels": lies}, "rootfs": map[string]any{"type": "layers", "diff_ids": []string{}},
	})
	image := l.add(manifest, map[string]any{
		"schemaVersion": 2, "mediaType": manifest, "artifactType": tricks.Text, "config": config, "layers": []any{}, "annotations": lies,
	})
	image["platform"] = map[string]string{"os": "linux" + tricks.Text, "architecture": tricks.Text, "variant": tricks.Text}
	image["annotations"] = lies
	image["artifactType"] = tricks.Text
	whole := l.add(index, map[string]any{
		"schemaVersion": 2, "mediaType": index, "artifactType": tricks.Text, "manifests": []any{image}, "annotations": lies,
	})
	l.index = l.contents[whole["digest"].(string)]
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	return server
}

func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Warning", `299 - "`+strings.NewReplacer("\x1b", "", "\a", "", "\x7f", "").Replace(tricks.Name)+`"`)
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	last := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	answer := func(kind string, raw []byte) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
		if strings.HasPrefix(kind, "application/vnd") {
			w.Header().Set("Docker-Content-Digest", digestOf(raw))
		}
		if r.Method != http.MethodHead {
			_, _ = w.Write(raw)
		}
	}
	list := func(v any) { raw, _ := json.Marshal(v); answer("application/json", raw) }
	switch {
	case r.URL.Path == "/v2/":
		list(map[string]any{})
	case last == "_catalog":
		list(map[string]any{"repositories": []string{"app", "a" + tricks.Name, tricks.Text}})
	case last == "list":
		list(map[string]any{"name": tricks.Text, "tags": []string{"v1", "v" + tricks.Name, tricks.Text}})
	case strings.Contains(r.URL.Path, "/referrers/"):
		raw, _ := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []any{
			map[string]any{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digestOf(l.index), "size": len(l.index), "artifactType": tricks.Text},
		}})
		answer("application/vnd.oci.image.index.v1+json", raw)
	case last == "v1" && r.Method != http.MethodPut:
		answer("application/vnd.oci.image.index.v1+json", l.index)
	case l.contents[last] != nil:
		answer(l.kinds[last], l.contents[last])
	default:
		w.WriteHeader(http.StatusForbidden)
		list(map[string]any{"errors": []any{map[string]any{"code": tricks.Text, "message": tricks.Text, "detail": tricks.Text}}})
	}
}

func TestARegistryHidesNothingInWhatIsPrinted(t *testing.T) {
	host := strings.TrimPrefix(newLiar(t).URL, "http://")
	dir := t.TempDir()
	shown := 0
	for _, command := range []string{
		"ls HOST", "ls HOST/app", "inspect HOST/app:v1", "inspect HOST/app:v2", "referrers HOST/app:v1", "digest HOST/app:v1", "digest HOST/app:v2",
		"manifest show HOST/app:v1", "manifest list-metadata HOST/app", "manifest list-referrers HOST/app:v1", "manifest show-metadata HOST/app:v1",
		"repository list -n HOST", "repository show-tags -n HOST --repository app", "repository show-manifests -n HOST --repository app",
		"repository show -n HOST --repository app", "check HOST/app:v1 HOST/b:v1", "verify HOST/app HOST/b", "copy HOST/app:v1 HOST/b:v1",
		"copy HOST/app:v1 HOST/b:v1 --dry-run", "copy HOST/app:v1 oci:DIR:v1 --debug", "transfer HOST/ oci:DIR2/", "transfer HOST/ HOST/to/ --dry-run",
		"copy HOST/app oci:DIR3 --all-tags", "rm HOST/app:v1 --dry-run", "tag HOST/app:v1 v9", "plan transfer HOST/ HOST/to/",
	} {
		for _, form := range []string{"text", "table", "tsv", "json"} {
			var out, err bytes.Buffer
			line := strings.ReplaceAll(strings.ReplaceAll(command, "HOST", host), "DIR", filepath.Join(dir, form))
			args := append(strings.Fields(line), "-o", form, "--verbose", "--retries", "1", "--plain-http")
			if strings.HasPrefix(command, "plan ") {
				args = append(strings.Fields(line), "--verbose", "--retries", "1", "--plain-http")
			}
			code := program(t.Context(), args, app.IO{In: strings.NewReader(""), Out: &out, Err: &err, Env: noEnv, Home: t.TempDir()})
			if code == 2 {
				t.Errorf("%s -o %s: %s", command, form, &err)
			}
			if command != "manifest show HOST/app:v1" || form != "text" { // byte for byte, since it has a digest
				tricks.Check(t, command+" -o "+form, out.String())
			}
			tricks.Check(t, command+" -o "+form+" on stderr", err.String())
			if strings.Contains(out.String()+err.String(), `\u202e`) {
				shown++
			}
		}
	}
	if shown < 20 {
		t.Errorf("only %d outputs have a trick, escaped", shown)
	}
}
