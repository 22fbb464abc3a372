package store

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"time"
)

const (
	shrinkInterval = time.Minute           // time between two looks for free pages
	shrinkPause    = 20 * time.Millisecond // time between two steps, in which transactions get their turns
	shrinkStep     = 512                   // pages that one step gives back, 2 MB
	slack          = 1024                  // free pages that a file keeps, because they are soon used again
	convertMost    = 128 << 20             // bytes of an older file that is converted when it is opened
)

// giveBack frees pages. Each row that is read frees one, so it is not enough to execute the statement.
func giveBack(ctx context.Context, db *sql.DB, pages int) error {
	rows, err := db.QueryContext(ctx, fmt.Sprintf(`PRAGMA incremental_vacuum(%d)`, pages))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

// incremental reports whether the file can shrink in steps, which is decided when a file is created. It
// converts an older file unless that is large, because a conversion writes the whole file anew.
func incremental(ctx context.Context, db *sql.DB, path string) bool {
	const steps = 2 // the value of auto_vacuum for INCREMENTAL
	mode, err := pragma(ctx, db, "auto_vacuum")
	if err != nil || mode == steps {
		return err == nil
	}
	if info, err := os.Stat(path); err != nil || info.Size() > convertMost {
		return false
	}
	if _, err := db.ExecContext(ctx, `VACUUM`); err != nil {
		return false // another process reads the file, or the disk is full; the next start tries again
	}
	mode, err = pragma(ctx, db, "auto_vacuum")
	return err == nil && mode == steps
}

func pragma(ctx context.Context, db *sql.DB, name string) (n int, err error) {
	err = db.QueryRowContext(ctx, `PRAGMA `+name).Scan(&n)
	return n, err
}
