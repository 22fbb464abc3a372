// Package fault defines the errors of dray. Every error that leaves a package of this module is a
// [*Fault] or wraps one.
//
// A Fault has a [Kind], which says what the caller can do about the error: try again later, log in,
// correct the request. Programs that turn errors into something else, such as an exit code, an HTTP
// status or a decision to retry, read the Kind. They never parse the text of an error.
//
//	desc, err := d.Digest(ctx, dray.LookRequest{Name: "prod/app:v1"}, nil)
//	switch fault.KindOf(err) {
//	case "":
//		// no error: use desc
//	case fault.NotFound:
//		// no such tag
//	case fault.Unavailable, fault.Throttled:
//		// try again later
//	default:
//		log.Print(err, " ", fault.HintOf(err))
//	}
//
// [KindOf], [Is], [SideOf] and [HintOf] look through wrapped errors. KindOf also gives a Kind to errors that
// are not Faults, so that a switch on it is complete.
//
// # Compatibility
//
// The values of Kind and [Side] are part of dray's JSON output: a value keeps its meaning. A later
// version may add a Kind, so treat a Kind that you do not know like [Internal]. The texts of errors
// and hints may change at any time.
//
// # Files
//
// In the order of the walk:
//
//	misuse.go  errors for requests that dray cannot carry out as they are
//	fault.go   Fault, Kind, Side
//	login.go   hides the passwords of addresses
package fault
