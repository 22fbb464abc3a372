package acr

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// answer writes body as JSON.
func answer(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		status = http.StatusInternalServerError
		raw = []byte(`{"errors":[{"code":"UNKNOWN","message":"the answer cannot be encoded as JSON"}]}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(raw) // an error means that the client has gone
}

// refuse answers with an error in the form of distribution-spec v1.1.1 §Error Codes.
func refuse(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, map[string]any{"errors": []any{map[string]any{"code": code, "message": message}}})
}

// unsupported answers a request for what dray does not do. az shows the message of a 404 and a 405 at once; it repeats
// a request that gets another status for 15 seconds.
func unsupported(w http.ResponseWriter, status int, message string) {
	refuse(w, status, "UNSUPPORTED", message)
}

// fail answers a request that failed with err.
func fail(w http.ResponseWriter, err error) {
	switch fault.KindOf(err) {
	case fault.NotFound:
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN", withHint(err))
	case fault.Conflict, fault.Refused: // what is locked, and what a registry cannot do
		unsupported(w, http.StatusMethodNotAllowed, withHint(err))
	case fault.Denied:
		refuse(w, http.StatusForbidden, "DENIED", withHint(err))
	case fault.Invalid:
		refuse(w, http.StatusBadRequest, "NAME_INVALID", withHint(err))
	case fault.TooLarge:
		refuse(w, http.StatusRequestEntityTooLarge, "SIZE_INVALID", withHint(err))
	case fault.Throttled, fault.Full:
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS", withHint(err))
	default:
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE", withHint(err))
	}
}

// withHint returns the text of err with its hint.
func withHint(err error) string {
	text := wire.Text(err)
	if hint := fault.HintOf(err); hint != "" {
		text += " (hint: " + hint + ")"
	}
	return text
}

func count(n int) string { return strconv.Itoa(n) }
