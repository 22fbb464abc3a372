package canary

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestASecretIsFoundInEachForm(t *testing.T) {
	base32 := strings.Repeat("a2", 40)
	for name, text := range map[string]string{
		"as it is":          "password=" + Word + ".",
		"in a login":        "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("u:"+Word)),
		"in a longer login": "Authorization: Basic " + base64.URLEncoding.EncodeToString([]byte("us:"+Word+"?")),
		"in another login":  base64.RawStdEncoding.EncodeToString([]byte("use:" + Word + "??")),
		"in hex":            hex.EncodeToString([]byte("x" + Word)),
		"in upper hex":      strings.ToUpper(hex.EncodeToString([]byte(Word))),
		"with an escape":    strings.ReplaceAll(Word, "-", "%2D"),
		"in an address":     "https://u:" + url.QueryEscape(Word) + "@reg.example",
		"in upper case":     strings.ToUpper("token" + Word),
		"a key":             "-----BEGIN EC PRIVATE KEY-----",
		"a token":           "dray_" + base32[:10] + "_" + base32[:59],
		"a signed address":  "https://s3.example/x?X-Amz-Signature=" + strings.Repeat("0a", 32),
		"one of Google":     "https://gcs.example/x?X-Goog-Signature=" + strings.Repeat("0a", 32),
		"one of Azure":      "https://blob.example/x?sv=1&sig=" + strings.Repeat("aB", 20) + "%3D",
	} {
		if found := Search([]byte("before " + text + " after")); len(found) != 1 || found[0].Form == "" || found[0].Around == "" {
			t.Errorf("%s: %v in %q", name, found, text)
		}
	}
	for _, text := range []string{"", "canary", "a canary-7f3", "dray_aaaaaaaaaa", "sig=1", "sha256:" + strings.Repeat("0a", 32), "PUBLIC KEY-----"} {
		if found := Search([]byte(text)); len(found) != 0 {
			t.Errorf("%v in %q", found, text)
		}
	}
}

// catcher catches what a test would report.
type catcher struct {
	testing.TB
	errors   []string
	cleanups []func()
}

func (*catcher) Helper() {}

func (c *catcher) Errorf(format string, args ...any) {
	c.errors = append(c.errors, fmt.Sprintf(format, args...))
}
func (c *catcher) Cleanup(f func()) { c.cleanups = append(c.cleanups, f) }

func (c *catcher) end() []string {
	for _, f := range slices.Backward(c.cleanups) {
		f()
	}
	return c.errors
}

func TestATestThatLeaksFails(t *testing.T) {
	far := strings.Repeat("x", 1<<20-3) // a secret that two pieces share
	for place, leak := range map[string]func(c *catcher, dir string) error{
		"the output": func(c *catcher, _ string) error {
			Text(c, "stdout", "logged in as u:"+Word)
			return nil
		},
		"the log, in two writes": func(c *catcher, _ string) error {
			tap := &Tap{To: io.Discard}
			tap.Check(c, "log")
			_, _ = io.WriteString(tap, "level=debug login="+Word[:5])
			_, err := io.WriteString(tap, Word[5:])
			return err
		},
		"a database": func(_ *catcher, dir string) error {
			return os.WriteFile(filepath.Join(dir, "dray.db-wal"), []byte(far+Word), 0o600)
		},
		"a state directory": func(_ *catcher, dir string) error {
			return os.WriteFile(filepath.Join(dir, "uploads", "1"), []byte(base64.StdEncoding.EncodeToString([]byte("user:"+Word))), 0o600)
		},
		"the name of a file": func(_ *catcher, dir string) error {
			return os.WriteFile(filepath.Join(dir, Word), nil, 0o600)
		},
	} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "uploads"), 0o700); err != nil {
			t.Fatal(err)
		}
		c := &catcher{}
		Files(c, dir)
		if err := leak(c, dir); err != nil {
			t.Fatal(err)
		}
		if got := c.end(); len(got) != 1 || !strings.Contains(got[0], "the canary") {
			t.Errorf("a secret in %s: %q", place, got)
		}
	}
}

func TestFilesWithAReasonMayContainASecret(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"home/.docker/config.json", "other/config.json"} {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(Word), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := Walk(dir, Excuses("some"))
	if err != nil || len(found) != 1 || len(found["other/config.json"]) != 1 {
		t.Errorf("%v %v", found, err)
	}
	for _, r := range excuses() {
		if r.Name == "" || r.Why == "" {
			t.Errorf("%+v", r)
		}
	}
}

func TestCommandsThatAreForShowingASecretMay(t *testing.T) {
	for line, want := range map[string]bool{
		"login --name prod --expose-token": true, "serve token create ci --role admin": true, "serve token list": false,
		"login prod": false, "config show": false,
	} {
		if got := Shows(strings.Fields(line)); got != want {
			t.Errorf("%s: %t", line, got)
		}
	}
}

func TestASecretIsFoundWhereServersLogRequests(t *testing.T) {
	for name, r := range map[string]struct {
		path, query string
		header      http.Header
		want        int
	}{
		"a login":           {"/v2/", "", http.Header{"Authorization": {"Bearer " + Word}}, 0},
		"a signed address":  {"/blob", "sig=" + Word + "&se=1", nil, 0},
		"another parameter": {"/token", "service=x&password=" + Word, nil, 1},
		"the path":          {"/v2/" + Word, "", nil, 1},
		"the user agent":    {"/v2/", "", http.Header{"User-Agent": {"dray u:" + Word}}, 1},
		"where it is from":  {"/v2/", "", http.Header{"Referer": {"https://u:" + Word + "@reg.example/"}}, 1},
	} {
		if got := inRequest(r.path, r.query, r.header); len(got) != r.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
