package shared

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
)

const (
	deadline = 2 * time.Second        // of each statement
	pulse    = 300 * time.Millisecond // how often a server looks for a collector
	// settle is how long a collector waits after it got its locks. A server whose connection was lost, and its lock
	// with it, has noticed that by then, and its last change has ended.
	settle = 2*deadline + 2*pulse
)

// session is a connection that holds advisory locks until it is closed.
type session struct{ conn *sql.Conn }

func connect(ctx context.Context, db *store.DB) (session, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*deadline)
	defer cancel()
	conn, err := db.Conn(ctx)
	return session{conn}, err
}

// close ends the connection, which releases its locks.
func (s session) close() {
	_ = s.conn.Raw(func(any) error { return driver.ErrBadConn }) // the pool must not use it again
	_ = s.conn.Close()
}

// ask runs a statement that returns true or false. key names the lock.
func (s session) ask(ctx context.Context, statement, key string) (yes bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	err = s.conn.QueryRowContext(ctx, statement, key).Scan(&yes)
	return yes, err
}

const key = "(hashtextextended($1, 0))"

// Statements of ask. The lock of a transaction ends with its statement.
const (
	takeAlone    = "SELECT pg_try_advisory_lock" + key
	takeTogether = "SELECT pg_try_advisory_lock_shared" + key
	giveTogether = "SELECT pg_advisory_unlock_shared" + key
	isFree       = "SELECT pg_try_advisory_xact_lock_shared" + key
)

// changes and collectors return the keys of the locks of a storage.
func changes(storage string) string    { return "dray/storage/changes/" + storage }
func collectors(storage string) string { return "dray/storage/collectors/" + storage }

// pause waits for d. It returns false if ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
