package trouble

import "github.com/drayage/dray/fault"

// Of returns the Kind of an error of the file system and the next step, if the error says that the disk of the file
// or directory at takes nothing: Full if no space is left for this user, Denied if it is read-only, Unavailable after
// an input/output error. Any other error is not ok.
func Of(err error, at string) (kind fault.Kind, step string, ok bool) {
	switch {
	case isOverQuota(err):
		return fault.Full, "free space on the disk of " + at + ", or raise the disk quota of this user", true
	case isFull(err):
		return fault.Full, "free space on the disk of " + at, true
	case isReadOnly(err):
		return fault.Denied, "mount the disk of " + at + " for writing, or name a place on another one", true
	case isBroken(err):
		return fault.Unavailable, "check the disk of " + at + " (the log of the system tells more), " +
			"or name a place on another one", true
	}
	return "", "", false
}
