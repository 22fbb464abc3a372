// Package database gives tests a SQLite file and a real PostgreSQL. In the order of the walk:
//
//	databases.go        those on which a package's tests run
//	postgres.go         a cluster of its own
//	postgres_other.go   where there is none
package database
