package testbed

import (
	"bytes"
	"context"
	"errors"
	"sync"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
	"github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
)

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
