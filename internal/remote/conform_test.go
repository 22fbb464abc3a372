package remote_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/conform"
	"github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
)

// This runs the suite that every Source and Target must pass over HTTP, against real registries.
func TestARepositoryOverHTTPDoesWhatEveryRepositoryMust(t *testing.T) {
	bearer := testbed.Auth{Mode: testbed.Bearer, Users: map[string]string{"user": testbed.Password}}
	for name, tt := range map[string]struct {
		serve   func(testing.TB, testbed.Options) *testbed.Registry
		options testbed.Options
		suite   conform.Suite
	}{
		"distribution v3": {
			serve: testbed.Distribution,
		},
		"distribution v3 behind bearer tokens and TLS": {
			serve:   testbed.Distribution,
			options: testbed.Options{Scheme: testbed.HTTPS, Auth: bearer},
		},
		"docker-registry 2.8.2": {
			serve: testbed.DockerRegistry,
		},
		"dray's own": {serve: ours},
	} {
		t.Run(name, func(t *testing.T) {
			r := tt.serve(t, tt.options)
			set := credential.Settings{PlainHTTP: true}
			if strings.HasPrefix(r.URL, "https:") {
				set = credential.Settings{CAFile: r.CAFile(t)}
			}
			c := client(t, withLogin, withHost(r, set))
			var n atomic.Int64
			tt.suite.Open = func(t *testing.T) conform.Pair {
				t.Helper()
				at := repo(r, fmt.Sprintf("suite/%d", n.Add(1)))
				to := c.Open(at, remote.Use{Actions: remote.Push})
				return conform.Pair{Source: c.Open(at, remote.Use{}), Target: to, List: to.List}
			}
			conform.Run(t, tt.suite)
		})
	}
}

// ours returns the registry that dray serve provides.
func ours(tb testing.TB, o testbed.Options) *testbed.Registry {
	tb.Helper()
	r, err := registry.Open(tb.Context(), registry.Options{Dir: tb.TempDir()})
	must(tb, err)
	tb.Cleanup(func() { r.Close() })
	return testbed.Serve(tb, r, o)
}
