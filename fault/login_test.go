package fault

import (
	"errors"
	"strings"
	"testing"
)

func TestNeitherAnErrorNorAHintShowsThePasswordOfAnAddress(t *testing.T) {
	const secret = "Sup3r/S3=cret"
	for in, want := range map[string]string{
		"https://me:" + secret + "@a.io/x:1":       "https://me:[redacted]@a.io/x:1",
		"https://" + secret + "@a.io":              "https://[redacted]@a.io",
		"docker://me:" + secret + "@a.io/x":        "docker://me:[redacted]@a.io/x",
		"me:" + secret + "@a.io:5000":              "me:[redacted]@a.io:5000",
		"me:p@" + secret + "@a.io":                 "me:[redacted]@a.io",
		"--map \"me:" + secret + "@a.io/x\": bad":  "--map \"me:[redacted]@a.io/x\": bad",
		"dray copy a 'me:" + secret + "@b/x'":      "dray copy a 'me:[redacted]@b/x'",
		"--server=https://me:" + secret + "@a.io":  "--server=https://me:[redacted]@a.io",
		"me:" + secret + "@a.io/x@sha256:0123":     "me:[redacted]@a.io/x@sha256:0123",
		"postgres://me:" + secret + "@db/x":        "postgres://me:[redacted]@db/x",
		"a.io:5000/x:v1@sha256:0123":               "a.io:5000/x:v1@sha256:0123",
		"write HOST/REPOSITORY[:TAG|@DIGEST]":      "write HOST/REPOSITORY[:TAG|@DIGEST]",
		"write postgres://USER@HOST/NAME\n as ü@b": "write postgres://USER@HOST/NAME\n as ü@b",
	} {
		err := &Fault{Kind: Invalid, Op: "read", Name: in, Hint: in, Err: errors.New(in)}
		if got := err.Error(); got != "read "+want+": invalid: "+want {
			t.Errorf("Error() = %q, want %q", got, want)
		}
		if got := HintOf(err); got != want {
			t.Errorf("HintOf() = %q, want %q", got, want)
		}
		if strings.Contains(err.Error()+HintOf(err), secret) {
			t.Errorf("%q shows the secret", in)
		}
	}
}
