package fault

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Kind says what a caller can do about an error.
type Kind string

const (
	Invalid     Kind = "invalid"     // the request itself is wrong; repeating it can not help
	NotFound    Kind = "not_found"   // the named thing is not there, or this login may not see it
	Denied      Kind = "denied"      // credentials are absent, wrong or not sufficient
	Conflict    Kind = "conflict"    // the target holds something else, or is locked or immutable
	Moved       Kind = "moved"       // a name points elsewhere than when the plan was made
	Refused     Kind = "refused"     // our own rules forbid it: an origin, an address, malformed content
	TooLarge    Kind = "too_large"   // a named limit was passed
	Full        Kind = "full"        // the target has no room or no quota left
	Throttled   Kind = "throttled"   // the registry asks to wait longer than allowed; see RetryAfter
	Unavailable Kind = "unavailable" // network trouble or 5xx; repeating later may help
	Corrupt     Kind = "corrupt"     // bytes do not match their digest or size
	Canceled    Kind = "canceled"    // the caller gave up
	Internal    Kind = "internal"    // a defect of dray
)

// words is how a Kind reads inside a sentence.
func (k Kind) words() string { return strings.ReplaceAll(string(k), "_", " ") }

// Side says which end of a copy failed. The zero value means neither.
type Side string

const (
	Source Side = "source"
	Target Side = "target"
)

// Fault is an error with the facts a reader needs to act on it.
type Fault struct {
	Kind       Kind
	Side       Side          // "" when the error has no side
	Op         string        // verb phrase: "resolve", "put manifest"
	Name       string        // what it was done to: "docker.io/library/nginx:1.25"
	Hint       string        // next step for a person, one clause without a full stop; "" for none
	RetryAfter time.Duration // 0 when the registry named no delay
	Err        error         // cause; may be nil
}

// Error reads "side: op name: kind: cause". A cause that is a Fault of the same
// Kind says the kind itself, and a Side is said once.
func (f *Fault) Error() string {
	parts := make([]string, 0, 4)
	if f.Side != "" {
		parts = append(parts, string(f.Side))
	}
	if what := strings.TrimSpace(f.Op + " " + f.Name); what != "" {
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
	return strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// KindOf returns the Kind of the first Fault in err's tree. Without one it is Canceled for
// an ended context, "" for nil, and else Internal.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var f *Fault
	if errors.As(err, &f) {
		return f.Kind
	}
	if errors.Is(err, context.Canceled) {
		return Canceled
	}
	return Internal
}

// Is reports whether err is of kind k.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }

// HintOf returns the outermost hint in err's tree, or "".
func HintOf(err error) string {
	for err != nil {
		var f *Fault
		if !errors.As(err, &f) {
			return ""
		}
		if f.Hint != "" {
			return f.Hint
		}
		err = f.Err
	}
	return ""
}

// On says at which side err happened. An error that knows its side, or is nil, comes back as it was.
func On(side Side, err error) error {
	var f *Fault
	if !errors.As(err, &f) || f.Side != "" {
		return err
	}
	g := *f
	g.Side = side
	return &g
}
