package testbed

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // factory.Create finds it by name
	"github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/sirupsen/logrus"
)

// Distribution runs distribution v3 in this process, with deletion enabled. It cannot be used with
// Pipes: see NewDistribution.
func Distribution(tb testing.TB, o Options) *Registry {
	tb.Helper()
	if o.Wire == Pipes {
		tb.Fatal("call NewDistribution outside the bubble and Serve inside")
	}
	return Serve(tb, NewDistribution(tb, o), o)
}

// NewDistribution returns the handler of Distribution. It uses o.Dir and o.Content. It has no
// referrers API and no sha512.
//
// Each handler leaves a goroutine behind, because distribution cannot stop it. Tell goleak to
// ignore the top function "github.com/docker/go-events.(*Broadcaster).run", and create the handler
// outside of a testing/synctest bubble. It may be served inside.
func NewDistribution(tb testing.TB, o Options) http.Handler {
	tb.Helper()
	registerGathering()
	logrus.SetOutput(io.Discard) // distribution logs every 404 as an error
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

// distributionConfig returns YAML because Parse sets defaults that a configuration value built in
// Go would lack.
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

// Sloppy runs go-containerregistry's registry in this process. It accepts manifests whose blobs are
// missing, does not support open-ended ranges and mounts nothing.
func Sloppy(tb testing.TB, o Options) *Registry {
	tb.Helper()
	return Serve(tb, NewSloppy(o), o)
}

// NewSloppy returns the handler of Sloppy. It uses o.Referrers.
func NewSloppy(o Options) http.Handler {
	return registry.New(
		registry.Logger(silent()),
		registry.WithReferrersSupport(o.Referrers == WithReferrers),
	)
}

// gathering is the name of the storage in memory. Distribution creates drivers only by name, from a
// table that each process has once.
const gathering = "gathering"

var registerGathering = sync.OnceFunc(func() { factory.Register(gathering, gatherers{}) })

type gatherers struct{}

func (gatherers) Create(context.Context, map[string]any) (storagedriver.StorageDriver, error) {
	return &gatherer{inmemory.New()}, nil
}

// gatherer is distribution's storage in memory with writers that buffer their data until it is
// read. Distribution's own writer copies everything that an upload has so far for each 32 KiB: a
// blob of 17 MiB means 4.6 GiB of copying.
type gatherer struct{ *inmemory.Driver }

func (g *gatherer) Writer(ctx context.Context, path string, again bool) (storagedriver.FileWriter, error) {
	w, err := g.Driver.Writer(ctx, path, again)
	if err != nil {
		return nil, err
	}
	return &gatheringWriter{FileWriter: w, size: w.Size()}, nil
}

type gatheringWriter struct {
	storagedriver.FileWriter // has only what was committed or closed

	size  int64 // of all data that was written, as the writer of a directory counts
	held  bytes.Buffer
	ended bool
}

func (w *gatheringWriter) Write(p []byte) (int, error) {
	if w.ended {
		return 0, errors.New("already closed, committed or canceled")
	}
	w.size += int64(len(p))
	return w.held.Write(p)
}

func (w *gatheringWriter) Size() int64 { return w.size }

func (w *gatheringWriter) Commit(ctx context.Context) error {
	if err := w.settle(); err != nil {
		return err
	}
	return w.FileWriter.Commit(ctx)
}

func (w *gatheringWriter) Close() error {
	if err := w.settle(); err != nil {
		return err
	}
	return w.FileWriter.Close()
}

func (w *gatheringWriter) Cancel(ctx context.Context) error {
	w.ended = true
	w.held = bytes.Buffer{}
	return w.FileWriter.Cancel(ctx)
}

// settle writes the buffered data to the writer below. That writer reports errors of its state.
func (w *gatheringWriter) settle() error {
	w.ended = true
	if w.held.Len() == 0 {
		return nil
	}
	_, err := w.FileWriter.Write(w.held.Bytes())
	w.held = bytes.Buffer{}
	return err
}
