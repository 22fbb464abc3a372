//go:build race

package yard

const underRace = true
