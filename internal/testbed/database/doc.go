// Package database provides a SQLite file and a real PostgreSQL for tests. In the order of the
// walk:
//
//	databases.go        the databases on which a package's tests run
//	postgres.go         starts a PostgreSQL server for the tests
//	network.go          a network before a database, which swallows or breaks off
//	postgres_other.go   skips these tests on systems other than Unix
package database
