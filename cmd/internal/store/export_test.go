package store

import "time"

// ShrinkEvery makes a SQLite database look for free pages at another interval, once.
func (d *DB) ShrinkEvery(interval time.Duration) { d.writer.tick.Reset(interval) }
