// Package answer writes the answers of a registry: distribution's, or its own where distribution's would be wrong.
package answer

import (
	"encoding/json"
	"net/http"

	"github.com/distribution/distribution/v3/registry/api/errcode"

	"github.com/drayage/dray/internal/registry/backing"
	"github.com/drayage/dray/internal/registry/tend"
)

// Answer remembers the status of a response and ignores every status after the first, because
// distribution answers some requests twice. It replaces the answer to a request whose content could not be written.
type Answer struct {
	http.ResponseWriter
	Status  int
	Created func(http.Header)          // called before a 201; may be nil
	Why     func() *backing.Unwritable // why content could not be written; it may return nil
	Over    *tend.Over                 // the limit of the principal that the body has reached, or nil
	mute    bool                       // distribution's body is dropped
}

// WriteHeader implements http.ResponseWriter.
func (a *Answer) WriteHeader(status int) {
	if a.Status != 0 {
		return
	}
	a.Status = status
	switch u := a.Why(); {
	case status == statusGone:
	case a.Over != nil:
		a.replace(func(w http.ResponseWriter) { RefuseMore(w, a.Over) })
		return
	case u != nil && u.Busy:
		a.replace(func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "5")
			Refuse(w, http.StatusServiceUnavailable, errcode.ErrorCodeUnavailable.WithMessage(u.Error()))
		})
		return
	case u != nil:
		a.replace(func(w http.ResponseWriter) {
			Refuse(w, http.StatusInsufficientStorage, errcode.ErrorCodeDenied.WithMessage(u.Error()))
		})
		return
	case status == http.StatusCreated && a.Created != nil:
		a.Created(a.Header())
	}
	a.ResponseWriter.WriteHeader(status)
}

const statusGone = 499 // distribution's status if the client has gone

// replace answers with refuse instead of what distribution has prepared.
func (a *Answer) replace(refuse func(http.ResponseWriter)) {
	for _, name := range []string{"Content-Length", "Location", "Range", "Docker-Upload-UUID", "Docker-Content-Digest"} {
		a.Header().Del(name)
	}
	a.mute = true
	refuse(a.ResponseWriter)
}

// RefuseMore answers a principal that has reached its limit of unfinished uploads.
func RefuseMore(w http.ResponseWriter, over *tend.Over) {
	if over.Alone {
		Refuse(w, http.StatusInsufficientStorage, errcode.ErrorCodeDenied.WithMessage(over.Error()))
		return
	}
	w.Header().Set("Retry-After", "30")
	Refuse(w, http.StatusTooManyRequests, errcode.ErrorCodeTooManyRequests.WithMessage(over.Error()))
}

// Write implements http.ResponseWriter.
func (a *Answer) Write(p []byte) (int, error) {
	if a.mute {
		return len(p), nil
	}
	if a.Status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap gives http.ResponseController access to the connection.
func (a *Answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Refuse answers with one error in the form of distribution-spec v1.1.1 §Error Codes.
func Refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(errcode.Errors{err}) // fails only if the client has gone
}
