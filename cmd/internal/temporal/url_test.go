package temporal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
)

func TestTheURLOfAnEngineIsRead(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		url, key          string
		host, namespace   string
		encrypted, logsIn bool
	}{
		{url: "temporal://temporal.example:7233/dray", host: "temporal.example:7233", namespace: "dray"},
		{url: "temporal://temporal.example/dray", host: "temporal.example:7233", namespace: "dray"},
		{url: "temporal://[::1]:7/dray/", host: "[::1]:7", namespace: "dray"},
		{url: "temporal://temporal.example/dray?tls=true", host: "temporal.example:7233", namespace: "dray", encrypted: true},
		{url: "temporal://temporal.example/dray?server-name=a", host: "temporal.example:7233", namespace: "dray", encrypted: true},
		{url: "temporal://temporal.example/dray?tls=true", key: "k", host: "temporal.example:7233", namespace: "dray", encrypted: true, logsIn: true},
		{url: "temporal://localhost/dray?api-key-file=" + key, host: "localhost:7233", namespace: "dray", logsIn: true},
	} {
		a, err := parse(c.url, c.key)
		if err != nil || a.host != c.host || a.namespace != c.namespace || (a.tls != nil) != c.encrypted || (a.login != nil) != c.logsIn {
			t.Errorf("%s: %+v %v", c.url, a, err)
		}
	}
}

func TestAWrongURLOfAnEngineIsInvalidAndShowsNoSecret(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ url, key, says string }{
		{url: "", says: "not the URL of an engine"},
		{url: "temporal://", says: "not the URL of an engine"},
		{url: "http://h/n", says: "not the URL of an engine"},
		{url: "temporal://h", says: "the namespace is missing"},
		{url: "temporal://h:7233/a/b", says: "the namespace is missing"},
		{url: "temporal://ann:canary-7f3a91@h/n", says: "a login is in the URL"},
		{url: "temporal://h/n?api-key=canary-7f3a91", says: "an API key is in the URL"},
		{url: "temporal://h/n?password=canary-7f3a91", says: "an API key is in the URL"},
		{url: "temporal://h/n?canary-7f3a91=1", says: "an unknown parameter"},
		{url: "temporal://h/n?tls=maybe", says: "tls must be true or false"},
		{url: "temporal://h/n?tls=true&tls=true", says: "one value"},
		{url: "temporal://h/n?cert=a", says: "cert and key belong together"},
		{url: "temporal://h/n?tls=false&server-name=a", says: "tls=false"},
		{url: "temporal://h/n?ca=/nowhere", says: "/nowhere"},
		{url: "temporal://h/n?ca=" + empty, says: "no certificate"},
		{url: "temporal://h/n?tls=true&api-key-file=" + empty, says: "it is empty"},
		{url: "temporal://h/n?tls=true&api-key-file=" + empty, key: "canary-7f3a91", says: "two API keys"},
		{url: "temporal://h/n", key: "canary-7f3a91", says: "in the clear"},
	} {
		_, err := parse(c.url, c.key)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error()+fault.HintOf(err), "canary-7f3a91") {
			t.Errorf("%s: %v", c.url, err)
		}
	}
}
