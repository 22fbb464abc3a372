// Package store is one database, a SQLite file or PostgreSQL, for what the server must not
// forget.
//
// The same statements run on both. Placeholders are $1, $2…; times are int64 microseconds UTC,
// JSON is TEXT, booleans are 0 or 1, ids are ULIDs as TEXT. What is written goes through Tx (or
// ExecContext), which on SQLite takes turns on one connection and shares one fsync between
// those that wait.
//
// In the order of the walk:
//
//	open.go        a database is opened, and closed
//	sqlite.go      a file, and its backup
//	postgres.go    a server's
//	migrate.go     tables, brought up to date
//	statement.go   statements, and what they say on one database and not on the other
//	tx.go          transactions that write
//	listen.go      notifications: said, and listened to
//	db.go          what all of these stand on
//	writer.go      turns on the one connection that writes to a file
//	wire.go        notifications between processes
//	bus.go         notifications within one
//	faults.go      errors of both databases, and what may be tried again
package store
