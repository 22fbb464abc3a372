package shared

import (
	"context"
	"errors"
	"time"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

// Alone waits until no server of db, which must be PostgreSQL, changes the content of the storage, for at most wait.
// The returned context ends when release is called, or with a cause if the locks are lost: then nothing may be removed
// any more. The error is Conflict if another process collects there, or if servers have changes in progress after wait.
func Alone(
	ctx context.Context, db *store.DB, storage string, wait time.Duration,
) (alone context.Context, release func(), err error) {
	const op = "collect garbage in"
	s, err := connect(ctx, db)
	if err != nil {
		return nil, nil, db.Explain(op, err)
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	refused := func(cause, hint string) error {
		return &fault.Fault{Kind: fault.Conflict, Op: op, Name: "the object store", Hint: hint, Err: errors.New(cause)}
	}
	// A server that looks whether a collector is there has this lock for a moment.
	got, err := take(ctx, s, collectors(storage), deadline)
	if err == nil && !got {
		err = refused("another gc is running there", "wait until it has ended")
	}
	if err == nil {
		if got, err = take(ctx, s, changes(storage), wait); err == nil && !got {
			err = refused("a server still changes content, or does not answer", "try again later, or stop the servers")
		}
	}
	if err == nil && !pause(ctx, settle) {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, nil, db.Explain(op, err)
	}
	alone, stop := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for pause(alone, pulse) {
			if _, err := s.ask(alone, "SELECT $1 <> ''", storage); err != nil {
				stop(db.Explain(op, err))
			}
		}
	}()
	return alone, func() { stop(nil); <-done; s.close() }, nil
}

// take takes a lock alone. got is false if it could not within wait.
func take(ctx context.Context, s session, key string, wait time.Duration) (got bool, err error) {
	for end := time.Now().Add(wait); ; {
		if got, err = s.ask(ctx, takeAlone, key); got || err != nil || time.Now().After(end) {
			return got, err
		}
		if !pause(ctx, pulse/3) {
			return false, context.Cause(ctx)
		}
	}
}
