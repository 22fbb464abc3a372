package cli_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
)

func TestTheProgressLineOfACommandWithoutAPlanSaysWhatItDoes(t *testing.T) {
	h := testbed.NewDistribution(t, testbed.Options{})
	for args, want := range map[string]string{
		"ls a.test:80":                                "dray: reading a.test:80\n",
		"ls a.test:80/app":                            "dray: reading a.test:80/app\n",
		"repository list -n a.test:80":                "dray: reading the list of repositories\n",
		"repository show -n a.test:80 --image app:v1": "dray: reading app:v1\n",
		"check a.test:80/app:v1":                      "dray: checking a.test:80/app:v1\n",
		"rm --yes a.test:80/app:v1":                   "dray: reading a.test:80/app:v1\ndray: removing a.test:80/app:v1\n",
		"verify a.test:80/app a.test:80/b":            "dray: comparing names\n",
		"copy a.test:80/app:v1 a.test:80/b:v1":        "dray: planning\n",
	} {
		t.Run(args, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := hostile.Serve(t, h, testbed.Options{Wire: testbed.Pipes, Host: "a.test:80"}, hostile.NoHeader(11*time.Second))
				testbed.Random(t, r, "app", "v1", testbed.RandomOptions{})
				var err bytes.Buffer
				program(t.Context(), append(strings.Fields(args), "--plain-http"), app.IO{
					In: strings.NewReader(""), Out: io.Discard, Err: &err, Env: noEnv, Home: t.TempDir(), Dial: r.Dial,
				})
				if !strings.HasPrefix(err.String(), want) {
					t.Errorf("%s", err.String())
				}
			})
		})
	}
}
