// Package store opens the database of a server: a SQLite file or a PostgreSQL database.
//
// The same statements run on both. Placeholders are $1, $2 and so on. Times are int64 microseconds in
// UTC, JSON is TEXT, booleans are 0 or 1, and IDs are ULIDs as TEXT. Every write goes through Tx or
// ExecContext. On SQLite, these use a single connection in turn, and transactions that wait at the same
// time share one commit and its fsync.
//
// In the order of the walk:
//
//	open.go        opens and closes a database, or waits until it answers
//	sqlite.go      a SQLite file, and its backup
//	postgres.go    a PostgreSQL database, and the settings of its sessions
//	migrate.go     creates and updates tables
//	statement.go   single statements, and the differences between the two databases
//	tx.go          write transactions
//	db.go          the DB type
//	writer.go      the only connection that writes to a SQLite file
//	shrink.go      makes a SQLite file smaller after rows were deleted
//	path.go        a connection to PostgreSQL, and how long it waits
//	socket_linux.go   an option of its socket on Linux
//	socket_other.go   the same on other systems, which lack it
//	faults.go      the errors of both databases, and which of them allow another attempt
package store
