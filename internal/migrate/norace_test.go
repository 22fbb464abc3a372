//go:build !race

package migrate_test

const underRace = false
