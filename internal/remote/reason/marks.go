package reason

import (
	"errors"

	"github.com/drayage/dray/fault"
)

// absent marks an answer in which the registry itself says that it has no such repository.
type absent struct{ error }

func (a absent) Unwrap() error { return a.error }

// Absent marks err, so that IsAbsent finds it.
func Absent(err error) error { return absent{err} }

// IsAbsent reports whether err is an answer in which the registry itself says that the repository
// does not exist. Any other error of a listing says nothing about what the repository holds.
func IsAbsent(err error) bool {
	var a absent
	return errors.As(err, &a)
}

// stray marks a 404 with a body that no registry writes.
type stray struct{ error }

func (s stray) Unwrap() error { return s.error }

// Stray marks err, so that IsStray finds it. text is what the body says; if that is "", it replaces err.
func Stray(err error, text string) error {
	if text == "" {
		err = errors.New("the answer is 404 with a body that no registry writes, such as the page of a proxy")
	}
	return stray{err}
}

// IsStray reports whether err is a 404 that any host in between may have answered: it has a body, and
// that is no list of errors (distribution-spec v1.1.1 §Error Codes).
func IsStray(err error) bool {
	var s stray
	return errors.As(err, &s)
}

// forbidden marks a 403 of the registry itself that names no other cause, such as a network rule or a
// missing project.
type forbidden struct{ error }

func (f forbidden) Unwrap() error { return f.error }

// Forbidden marks err, so that IsForbidden finds it.
func Forbidden(err error) error { return forbidden{err} }

// IsForbidden reports whether err is a 403 of the registry itself, which some registries answer
// also for what does not exist. A 403 that names another cause, such as a network rule, is no such
// 403.
func IsForbidden(err error) bool {
	var f forbidden
	return errors.As(err, &f)
}

// barred marks a 403 that no login changes: a network rule, or a missing repository or project.
type barred struct{ error }

func (b barred) Unwrap() error { return b.error }

// Barred marks err, so that IsBarred finds it.
func Barred(err error) error { return barred{err} }

// IsBarred reports whether err is a 403 that no login changes.
func IsBarred(err error) bool {
	var b barred
	return errors.As(err, &b)
}

// page is the cause of an answer that is a web page. host is the host that answered.
type page struct{ host string }

func (p page) Error() string {
	return "a web page of " + p.host + " answers: a sign-in, a captive portal, not a registry"
}

// Page returns the cause of an answer that is a web page of host.
func Page(host string) error { return page{host} }

// IsPage reports whether err says that a web page answered in place of a registry.
func IsPage(err error) bool {
	var p page
	return errors.As(err, &p)
}

// CauseOf returns what is inside the Faults of err, because the text of a Fault names one image.
func CauseOf(err error) error {
	for f, ok := errors.AsType[*fault.Fault](err); ok && f.Err != nil; f, ok = errors.AsType[*fault.Fault](err) {
		err = f.Err
	}
	return err
}
