package watch_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/server/watch"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/internal/testbed/database"
)

// lines is a log that can be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func TestALostDatabaseIsSaidOnceAndWhenItIsBack(t *testing.T) {
	p := database.NewPostgres(t)
	db, err := store.Open(t.Context(), p.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var log lines
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		to := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		watch.Service(ctx, to, "database", "what needs it waits", func(ctx context.Context) error {
			return db.Explain("ask database", db.PingContext(ctx))
		})
	}()
	until := func(text string) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !strings.Contains(log.String(), text); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("no %q: %s", text, log.String())
			}
		}
	}
	if err := p.Stop("immediate"); err != nil {
		t.Fatal(err)
	}
	until(`msg="does not answer" service=database meanwhile="what needs it waits" err=`)
	time.Sleep(5 * time.Second) // two more attempts
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	until(`msg="answers again" service=database after=`)
	stop()
	<-ended
	if got := log.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, `hint="check that`) {
		t.Error(got)
	}
}
