//go:build !race

package archtest

const underRace = false
