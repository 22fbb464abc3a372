//go:build race

package archtest

const underRace = true
