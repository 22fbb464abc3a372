package push

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/reason"
	"github.com/drayage/dray/internal/remote/wire"
)

var (
	// errGone marks an error after which the upload session cannot be used any more.
	errGone = errors.New("the upload session is gone")
	// errOtherwise marks an error after which the blob is sent in a new session in another way, at
	// once and without using up the retry budget.
	errOtherwise = errors.New("the blob is sent in another way")
)

// chunkHint is the hint if a registry accepts a blob in no way that was tried.
const chunkHint = "set chunk-size for this registry to the size of a chunk that it accepts, " +
	"or raise the limit for bodies at the proxy in front of it"

// damageHint is the hint if a registry damaged what it got.
const damageHint = "check the storage of the registry, and the proxy in front of it: " +
	"the bytes were right when dray sent them"

// refused turns a refusal of n bytes into an error that recover can act on.
func (u *upload) refused(a *wire.Answer, method string, n int64) error {
	err := u.r.Host.Refusal(u.call, a)
	gone := func() error {
		return u.call.Fault(fault.Unavailable, fault.HintOf(err), fmt.Errorf("%w: %w", errGone, err))
	}
	if fault.Is(err, fault.Full) {
		return err
	}
	if chunk := u.otherwise(a, method, n); chunk > 0 {
		u.chunk = chunk
		return u.call.Fault(fault.Unavailable, "", fmt.Errorf("%w: %w", errOtherwise, err))
	}
	if u.whole != nil || a.Status == http.StatusRequestEntityTooLarge {
		err = u.neither(a, err)
	}
	switch {
	case a.Says("DIGEST_INVALID", "SIZE_INVALID"):
		if u.twice {
			err = fmt.Errorf("the registry received other bytes than dray sent: %w", err)
			return fault.On(fault.Target, u.call.Fault(fault.Corrupt, damageHint, err))
		}
		u.twice = true
		return gone()
	case a.Status == http.StatusRequestedRangeNotSatisfiable:
		if u.misfit != u.done {
			u.misfit, u.misfits = u.done, 0
		}
		if u.misfits++; u.misfits > 2 {
			return gone() // the offset that the registry reports is not the one that it accepts
		}
		return u.call.Fault(fault.Unavailable, "", err)
	case u.whole == nil && (u.done > 0 || method == http.MethodPatch) && slices.Contains([]int{405, 411, 501}, a.Status):
		u.noPatch = true
		return gone()
	case a.Status == http.StatusNotFound, a.Says("BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"):
		return gone()
	}
	return err
}

// otherwise returns the chunk size with which to send the blob after a refusal of n bytes, or 0 if
// there is no other way to try. A 413 halves the size. Any other refusal of a whole blob is tried
// once in chunks: some registries and proxies accept no PUT with a body, or none with a length.
func (u *upload) otherwise(a *wire.Answer, method string, n int64) int64 {
	if a.Status == http.StatusRequestEntityTooLarge {
		if chunk := u.r.taught.smaller(n); chunk > 0 {
			return chunk
		}
	}
	if method != http.MethodPut || n < u.d.Size || u.whole != nil || u.noPatch || !refusesWhole(a) {
		return 0
	}
	code, text := a.Problem()
	u.whole = reason.Quote(a.Status, code, text)
	return u.r.taught.pieces(u.d.Size)
}

// refusesWhole reports whether an answer to a PUT of a whole blob may mean that the registry wants
// it in chunks. A 400 or a 404 means that unless its code names another cause (distribution-spec
// v1.1.1 §Error Codes): Artifactory answers 404 BLOB_UNKNOWN.
func refusesWhole(a *wire.Answer) bool {
	switch a.Status {
	case http.StatusMethodNotAllowed, http.StatusLengthRequired, http.StatusRequestEntityTooLarge,
		http.StatusNotImplemented:
		return true
	case http.StatusBadRequest, http.StatusNotFound:
		return !a.Says("DIGEST_INVALID", "SIZE_INVALID", "BLOB_UPLOAD_UNKNOWN", "NAME_UNKNOWN", "NAME_INVALID",
			"DENIED", "UNAUTHORIZED", "TOOMANYREQUESTS")
	}
	return false
}

// neither returns err as the error of a blob that the registry accepts neither whole nor in chunks.
func (u *upload) neither(a *wire.Answer, err error) error {
	code, text := a.Problem()
	said, hint := reason.Quote(a.Status, code, text), chunkHint
	if u.whole != nil && u.whole.Error() != said.Error() {
		said = fmt.Errorf("%w; to the whole blob, %w", said, u.whole)
	}
	if u.r.Host.Dialect.NoChunks {
		hint = fault.HintOf(err)
	}
	return u.call.Fault(fault.KindOf(err), hint, said)
}

// learned records that the blob arrived in chunks after another size was refused, and reports it
// once per host.
func (u *upload) learned() {
	if u.chunk == 0 || !u.r.taught.learnChunk(u.chunk) {
		return
	}
	how := "set chunk-size for it to save the refused requests"
	u.r.Observe.Tell(event.Event{Kind: event.Noted, Host: u.r.Host.Name, Name: u.call.Name,
		Text: u.r.Host.Name + " refuses whole blobs, so they are sent in chunks; " + how})
}
