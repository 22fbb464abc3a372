package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"
)

// Kind says what a caller can do about an error. [KindOf] returns "" for a nil error.
//
// Correct the request or the configuration:
//   - [Invalid]: the request is wrong.
//   - [Refused]: a rule of dray forbids it, or the registry does not do it.
//   - [TooLarge]: a limit is exceeded.
//
// Check the name or the login:
//   - [NotFound]: the name does not exist, or this login may not see it.
//   - [Denied]: the login is missing, wrong or has too few rights.
//
// Look at the target, or plan again:
//   - [Conflict]: the target name holds other content, is locked or is immutable.
//   - [Moved]: a name has changed since the plan was made.
//   - [Full]: the target has no space or no quota left.
//
// Try again later:
//   - [Throttled]: the registry asks for a longer wait than Limits.MaxWait allows.
//   - [Unavailable]: the network failed, or the registry answered with a 5xx status.
//
// Find out what happened:
//   - [Corrupt]: bytes do not match their digest or size.
//   - [Canceled]: the caller canceled the operation.
//   - [Internal]: dray has a defect.
type Kind string

const (
	// Invalid means that the request itself is wrong. Repeating it cannot help.
	Invalid Kind = "invalid"

	// NotFound means that the named thing does not exist, or that this login may not see it.
	NotFound Kind = "not_found"

	// Denied means that credentials are missing, wrong or not sufficient.
	Denied Kind = "denied"

	// Conflict means that the target holds other content, or is locked or immutable.
	Conflict Kind = "conflict"

	// Moved means that a name points to other content than when the plan was made.
	Moved Kind = "moved"

	// Refused means that a rule of dray forbids the operation: an origin, an address or malformed
	// content. It also means that the registry does not do what was requested, whatever the login: it
	// answers 400, 405, 501 or another status of that kind.
	Refused Kind = "refused"

	// TooLarge means that a limit is exceeded. The error names the limit.
	TooLarge Kind = "too_large"

	// Full means that the target has no space or no quota left.
	Full Kind = "full"

	// Throttled means that the registry asks for a longer wait than is allowed; see
	// [Fault.RetryAfter].
	Throttled Kind = "throttled"

	// Unavailable means network trouble or a 5xx status. Repeating the request later may help.
	Unavailable Kind = "unavailable"

	// Corrupt means that bytes do not match their digest or size.
	Corrupt Kind = "corrupt"

	// Canceled means that the caller gave up.
	Canceled Kind = "canceled"

	// Internal means that dray has a defect.
	Internal Kind = "internal"
)

// words returns k as it reads inside a sentence: "not found".
func (k Kind) words() string { return strings.ReplaceAll(string(k), "_", " ") }

// Side says at which end of a copy an error happened: at the [Source] or at the [Target].
// The zero value "" means that the error belongs to neither end.
type Side string

const (
	// Source is the registry or layout that is read.
	Source Side = "source"

	// Target is the registry or layout that is written.
	Target Side = "target"
)

// Fault is an error with the facts that a caller needs to act on it. The zero values of Side, Op,
// Name, Hint, RetryAfter and Err mean that the fact is not known or does not apply.
type Fault struct {
	// Kind says what the caller can do about the error.
	Kind Kind

	// Side is the end of the copy at which the error happened.
	Side Side

	// Op is what dray was doing, as a verb phrase: "resolve", "put manifest".
	Op string

	// Name is what Op was done to: "docker.io/library/nginx:1.25".
	Name string

	// Hint is the next step for a person: one clause without a full stop.
	Hint string

	// RetryAfter is the delay that the registry asked for; 0 if it named none.
	RetryAfter time.Duration

	// Err is the cause.
	Err error
}

// Error returns "side: op name: kind: cause" and leaves out what is not set.
//
// If the cause contains a Fault of the same Kind, the text of that cause already names the kind, so
// Error does not repeat it. It names a Side once only. It prints "[redacted]" in place of a password
// in an address.
func (f *Fault) Error() string {
	parts := make([]string, 0, 4)
	if f.Side != "" {
		parts = append(parts, string(f.Side))
	}
	if what := strings.TrimSpace(f.Op + " " + short(f.Name)); what != "" {
		parts = append(parts, what)
	}
	var inner *Fault
	switch {
	case f.Err == nil:
		parts = append(parts, f.Kind.words())
	case errors.As(f.Err, &inner) && inner.Kind == f.Kind:
		parts = append(parts, strings.TrimPrefix(f.Err.Error(), string(f.Side)+": "))
	default:
		parts = append(parts, f.Kind.words(), f.Err.Error())
	}
	return WithoutLogins(strings.Join(parts, ": "))
}

// short returns the beginning of a name that is longer than any path of a file or name of an image.
func short(name string) string {
	const most, shown = 4096, 256
	if len(name) <= most {
		return name
	}
	return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(name[:shown], ""), len(name))
}

// Unwrap returns f.Err, for [errors.Is] and [errors.As].
func (f *Fault) Unwrap() error { return f.Err }

// KindOf returns the Kind of the first Fault in err's tree. If there is no Fault, it returns
// [Canceled] for [context.Canceled], [Unavailable] for [context.DeadlineExceeded], which is also the
// time limit of a connection, and [Internal] for any other error. It returns "" if err is nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	if f, ok := errors.AsType[*Fault](err); ok {
		return f.Kind
	}
	switch {
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return Unavailable
	}
	return Internal
}

// Is reports whether err is not nil and [KindOf] returns k for it.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }

// HintOf returns the outermost hint in err's tree, or "" if there is none. An error that this process has too many
// files and connections open has a hint wherever it comes from. Like [Fault.Error], HintOf shows no password of an
// address.
func HintOf(err error) string {
	for err != nil {
		var f *Fault
		if errors.Is(err, syscall.EMFILE) {
			return fewFiles
		}
		if !errors.As(err, &f) {
			return ""
		}
		if f.Hint != "" {
			return WithoutLogins(f.Hint)
		}
		err = f.Err
	}
	return ""
}

const fewFiles = "let this process have more files and connections open: ulimit -n 1024, or LimitNOFILE= of systemd"

// SideOf returns the Side of the first Fault in err's tree, or "" if there is none.
func SideOf(err error) Side {
	if f, ok := errors.AsType[*Fault](err); ok {
		return f.Side
	}
	return ""
}

// On returns err as a Fault with its Side set to side. If err wraps a Fault, the text and the tree of
// err stay as they are. On returns err unchanged if err is nil, holds no Fault, or if the first Fault
// in its tree already has a Side.
func On(side Side, err error) error {
	var f *Fault
	if !errors.As(err, &f) || f.Side != "" {
		return err
	}
	if f != err { //nolint:errorlint // whether err is the Fault itself
		return &Fault{Kind: f.Kind, Side: side, RetryAfter: f.RetryAfter, Err: err}
	}
	g := *f
	g.Side = side
	return &g
}
