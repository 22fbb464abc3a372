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
	for name, tt := range map[string]struct {
		open  func(t *testing.T) *testbed.Registry
		suite conform.Suite
	}{
		"distribution v3": {
			open:  func(t *testing.T) *testbed.Registry { return testbed.Distribution(t, testbed.Options{}) },
			suite: conform.Suite{NoReferrers: true},
		},
		"distribution v3 behind bearer tokens and TLS": {
			open: func(t *testing.T) *testbed.Registry {
				return testbed.Distribution(t, testbed.Options{Scheme: testbed.HTTPS, Auth: testbed.Auth{Mode: testbed.Bearer, Users: map[string]string{"user": "secret"}}})
			},
			suite: conform.Suite{NoReferrers: true},
		},
		"docker-registry 2.8.2": {
			open:  func(t *testing.T) *testbed.Registry { return testbed.DockerRegistry(t, testbed.Options{}) },
			suite: conform.Suite{NoReferrers: true},
		},
		"dray's own": {open: ours},
	} {
		t.Run(name, func(t *testing.T) {
			r := tt.open(t)
			set := credential.Settings{PlainHTTP: true}
			if strings.HasPrefix(r.URL, "https:") {
				set = credential.Settings{CAFile: r.CAFile(t)}
			}
			c := client(t, withLogin, withHost(r, set))
			var n atomic.Int64
			tt.suite.Open = func(t *testing.T) conform.Pair {
				at := repo(r, fmt.Sprintf("suite/%d", n.Add(1)))
				to := c.Open(at, remote.Use{Actions: remote.Push})
				return conform.Pair{Source: c.Open(at, remote.Use{}), Target: to, List: to.List}
			}
			conform.Run(t, tt.suite)
		})
	}
}

// ours returns the registry that dray serve provides.
func ours(t *testing.T) *testbed.Registry {
	t.Helper()
	r, err := registry.Open(t.Context(), registry.Options{Dir: t.TempDir()})
	must(t, err)
	t.Cleanup(func() { r.Close() })
	return testbed.Serve(t, r, testbed.Options{})
}
