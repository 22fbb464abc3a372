//go:build race

package dray_test

const underRace = true
