//go:build race

package yard

// UnderRace says that the race detector looks on: it makes hashing and copying many times slower.
const UnderRace = true
