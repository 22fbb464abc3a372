package shared

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
)

// Guard lets one server change the content of a storage while nobody collects there. It is safe for concurrent use.
type Guard struct {
	db      *store.DB
	storage string
	log     *slog.Logger
	stop    context.CancelFunc
	done    chan struct{}

	mu    sync.Mutex
	open  chan struct{} // is closed while changes are allowed
	allow bool
	busy  int // changes in progress
}

// Open returns the Guard of one server. db must be PostgreSQL, and storage is the ID of the storage. Changes wait
// until the server has the lock.
func Open(db *store.DB, storage string, log *slog.Logger) *Guard {
	ctx, stop := context.WithCancel(context.Background())
	g := &Guard{db: db, storage: storage, log: log, stop: stop, done: make(chan struct{}), open: make(chan struct{})}
	go g.run(ctx)
	return g
}

// Close gives up the lock. Later changes are refused when their context ends.
func (g *Guard) Close() {
	g.stop()
	<-g.done
}

// Write begins a change. It waits while the content is collected, and while the database cannot be reached. The
// caller must call done after the change. If ctx ends first, the error is Throttled.
func (g *Guard) Write(ctx context.Context) (done func(), err error) {
	for {
		g.mu.Lock()
		allow, open := g.allow, g.open
		if allow {
			g.busy++
		}
		g.mu.Unlock()
		if allow {
			return func() { g.mu.Lock(); g.busy--; g.mu.Unlock() }, nil
		}
		select {
		case <-open:
		case <-ctx.Done():
			if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) {
				return nil, cause
			}
			return nil, &fault.Fault{Kind: fault.Throttled, Op: "change the content of the registry",
				Hint: "try again when " + shell.Dray("serve", "gc") + " has ended",
				Err: errors.New("the registry can only be read at the moment: " +
					"its content is collected, or its database cannot be reached")}
		}
	}
}

// set allows changes or stops new ones. It returns how many are in progress.
func (g *Guard) set(allow bool) (busy int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case allow && !g.allow:
		close(g.open)
	case !allow && g.allow:
		g.open = make(chan struct{})
	}
	g.allow = allow
	return g.busy
}

// run keeps a connection that holds the lock.
func (g *Guard) run(ctx context.Context) {
	defer close(g.done)
	for told := false; ctx.Err() == nil; pause(ctx, pulse) {
		held, err := g.hold(ctx)
		g.set(false)
		if ctx.Err() == nil && (held || !told) {
			g.log.LogAttrs(ctx, slog.LevelWarn, "changes of content wait for the database", slog.Any("err", err))
			told = true
		}
	}
}

// hold holds the lock of changes, except while a collector wants it, until the connection fails or ctx ends. ever is
// whether it held the lock.
func (g *Guard) hold(ctx context.Context) (ever bool, err error) {
	s, err := connect(ctx, g.db)
	if err != nil {
		return false, err
	}
	defer s.close()
	held, paused := false, false
	for {
		free, err := s.ask(ctx, isFree, collectors(g.storage))
		if err != nil {
			return ever, err
		}
		if free && !held {
			if held, err = s.ask(ctx, takeTogether, changes(g.storage)); err != nil {
				return ever, err
			}
			ever = ever || held
		}
		busy := g.set(free && held)
		if !free && held && busy == 0 {
			if _, err := s.ask(ctx, giveTogether, changes(g.storage)); err != nil {
				return ever, err
			}
			held = false
		}
		if now := !free || !held; now != paused {
			paused = now
			g.log.LogAttrs(ctx, slog.LevelInfo, "content is collected", slog.Bool("changes wait", paused))
		}
		if !pause(ctx, pulse) {
			return ever, ctx.Err()
		}
	}
}
