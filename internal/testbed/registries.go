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
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/sirupsen/logrus"
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

// gathering is the name of the storage in memory. Distribution makes drivers by
// name alone, from a table that each process has once.
const gathering = "gathering"

var knowGathering = sync.OnceFunc(func() { factory.Register(gathering, gatherers{}) })

type gatherers struct{}

func (gatherers) Create(context.Context, map[string]any) (storagedriver.StorageDriver, error) {
	return &gatherer{inmemory.New()}, nil
}

// gatherer is distribution's storage in memory, whose writers gather what they are
// given until it is read. Distribution's own copies all that an upload has so far at
// each 32 KiB: a blob of 17 MiB is 4.6 GiB of copying.
type gatherer struct{ *inmemory.Driver }

func (g *gatherer) Writer(ctx context.Context, path string, again bool) (storagedriver.FileWriter, error) {
	w, err := g.Driver.Writer(ctx, path, again)
	if err != nil {
		return nil, err
	}
	return &gatheringWriter{FileWriter: w, size: w.Size()}, nil
}

type gatheringWriter struct {
	storagedriver.FileWriter // has nothing but what was committed or closed

	size  int64 // of all that was written, as the writer of a directory counts
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

// settle hands over what was gathered. What is wrong with the state of the writer is left
// to the one below.
func (w *gatheringWriter) settle() error {
	w.ended = true
	if w.held.Len() == 0 {
		return nil
	}
	_, err := w.FileWriter.Write(w.held.Bytes())
	w.held = bytes.Buffer{}
	return err
}
