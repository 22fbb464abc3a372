package yard

import "os"

// Small reports whether the largest tests are to be small: under the race detector, which makes
// hashing and copying many times slower. With DRAY_WHOLE set they are whole there, too.
func Small() bool { return underRace && os.Getenv("DRAY_WHOLE") == "" }
