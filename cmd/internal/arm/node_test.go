package arm_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Azure's JavaScript SDK needs a package registry to be installed. So this test sends the requests of
// the SDK with node's fetch.
func TestNodeImportsAndPolls(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("SKIPPED: node is not installed (apt-get install nodejs)")
	}
	for hold, polled := range map[time.Duration]string{0: "true", time.Minute: "false"} {
		b := start(t, options{hold: hold})
		run := func(source, mode string) string {
			t.Helper()
			cmd := exec.CommandContext(t.Context(), "node", "testdata/import.mjs", b.srv.URL, "production", b.source.Host+"/"+source, "x:y", mode)
			cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+b.ca, "DRAY_TOKEN="+b.token)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			return strings.TrimSpace(string(out))
		}
		if got, want := run("library/app:v1", "NoForce"), `{"status":200,"succeeded":true,"polled":`+polled+`}`; got != want || b.digest("x:y") != b.sourceDigest("v1") {
			t.Errorf("%s, want %s", got, want)
		}
		if got, want := run("library/app:v2", "NoForce"), `{"status":409,"code":"Conflict","succeeded":false,"polled":`+polled+`}`; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if got := run("library/app:v2", "Force"); !strings.Contains(got, `"status":200`) || b.digest("x:y") != b.sourceDigest("v2") {
			t.Error(got)
		}
	}
}
