package yard

import "os"

// Small reports whether the largest tests must use less data: with the race detector, which makes
// hashing and copying many times slower. If DRAY_WHOLE is set, they use all data there too.
func Small() bool { return underRace && os.Getenv("DRAY_WHOLE") == "" }
