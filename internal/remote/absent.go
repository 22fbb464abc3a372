package remote

import (
	"errors"
	"net/http"
)

// absent marks an answer in which the registry itself says that it has no such repository.
type absent struct{ error }

func (a absent) Unwrap() error { return a.error }

// saysAbsent reports whether an answer means that: 404 with NAME_UNKNOWN, or with
// NOT_FOUND, as Harbor says it. A 404 without either may come from anything on the way.
func saysAbsent(status int, code string) bool {
	return status == http.StatusNotFound && (code == "NAME_UNKNOWN" || code == "NOT_FOUND")
}

// IsAbsent reports whether err is the registry's own word that the repository is not
// there. Any other error of a listing tells nothing about what the repository holds.
func IsAbsent(err error) bool {
	var a absent
	return errors.As(err, &a)
}
