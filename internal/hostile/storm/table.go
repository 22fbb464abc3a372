package storm

import "slices"

// Cases returns the table for a work at p. The faults are new each time.
func Cases(p Place) []Case {
	return slices.Concat(logins(), lists(p), heads(), gets(p), blobs(p), answers(p), uploads(), sessions(), tags())
}
