package testbed

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // keeps Options.Dir
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/sirupsen/logrus"
)

// Content says what Distribution accepts beyond complete images.
type Content string

const (
	// Strict is distribution as it comes: a manifest with foreign layers is
	// answered 500, an index needs all its children.
	Strict Content = ""
	// Open accepts foreign layers from any URL and sparse indexes.
	Open Content = "open"
)

// Referrers says whether a registry has the referrers API.
type Referrers string

// The zero Referrers is NoReferrers.
const (
	NoReferrers   Referrers = ""
	WithReferrers Referrers = "yes"
)

// Distribution runs distribution v3 in this process, with deletes on. It is not
// for Pipes: see NewDistribution.
func Distribution(tb testing.TB, o Options) *Registry {
	tb.Helper()
	if o.Wire == Pipes {
		tb.Fatal("call NewDistribution outside the bubble and Serve inside")
	}
	return Serve(tb, NewDistribution(tb, o), o)
}

// NewDistribution is the handler of Distribution: o.Dir and o.Content count.
// It has no referrers API and no sha512.
//
// Each one leaves a goroutine behind, because distribution can not stop it:
// tell goleak to ignore the top function
// "github.com/docker/go-events.(*Broadcaster).run", and make the handler
// outside a testing/synctest bubble. It may be served inside.
func NewDistribution(tb testing.TB, o Options) http.Handler {
	tb.Helper()
	knowGathering()
	logrus.SetOutput(io.Discard) // it logs every 404 as an error
	config, err := configuration.Parse(strings.NewReader(distributionConfig(o)))
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	app := handlers.NewApp(ctx, config)
	tb.Cleanup(func() {
		cancel()
		_ = app.Shutdown()
	})
	return app
}

// distributionConfig is YAML because Parse fills in defaults that a
// configuration made by hand lacks.
func distributionConfig(o Options) string {
	storage := gathering + ": {}"
	if o.Dir != "" {
		storage = fmt.Sprintf("filesystem: {rootdirectory: %q}", o.Dir)
	}
	c := fmt.Sprintf(`version: 0.1
storage:
  %s
  delete: {enabled: true}
  maintenance:
    uploadpurging: {enabled: false}
http: {secret: %q}
`, storage, rand.Text())
	if o.Content == Open {
		c += `validation:
  manifests:
    urls: {allow: ["^https?://"]}
    indexes: {platforms: none}
`
	}
	return c
}

// Sloppy runs go-containerregistry's registry in this process: it takes
// manifests whose blobs are absent, knows no open-ended ranges and mounts
// nothing.
func Sloppy(tb testing.TB, o Options) *Registry {
	tb.Helper()
	return Serve(tb, NewSloppy(o), o)
}

// NewSloppy is the handler of Sloppy: o.Referrers counts.
func NewSloppy(o Options) http.Handler {
	return registry.New(
		registry.Logger(silent()),
		registry.WithReferrersSupport(o.Referrers == WithReferrers),
	)
}
