// Package shared makes it safe to remove content from a bucket that several servers share. Advisory locks of their
// PostgreSQL database keep them apart:
//
//   - Each server holds the lock of changes together with the other servers, and changes content only while it does.
//   - A collector takes the lock of collectors, which asks the servers to pause. Each of them lets its changes in
//     progress end and gives up the lock of changes. When the collector has that lock alone, it begins.
//
// PostgreSQL releases the locks of a process that dies. A server that stands still keeps its lock, so a collector
// refuses to begin rather than to run beside it. The connections must reach PostgreSQL itself, or through a pooler
// that keeps sessions.
//
// Files, in the order of the walk:
//
//	alone.go   the collector
//	guard.go   a server
//	locks.go   the locks, and the connection that holds them
package shared
