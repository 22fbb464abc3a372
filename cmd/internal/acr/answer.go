package acr

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// Answer writes body as JSON.
func Answer(w http.ResponseWriter, status int, body any) {
	AnswerAs(w, status, "application/json; charset=utf-8", body)
}

// AnswerAs writes body as JSON of a media type.
func AnswerAs(w http.ResponseWriter, status int, mediaType string, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		status = http.StatusInternalServerError
		raw = []byte(`{"errors":[{"code":"UNKNOWN","message":"the answer cannot be encoded as JSON"}]}`)
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(raw) // an error means that the client has gone
}

// Refuse answers with an error in the form of distribution-spec v1.1.1 §Error Codes.
func Refuse(w http.ResponseWriter, status int, code, message string) {
	Answer(w, status, map[string]any{"errors": []any{map[string]any{"code": code, "message": message}}})
}

// unsupported answers a request for what dray does not do. az shows the message of a 404 and a 405 at once; it repeats
// a request that gets another status for 15 seconds.
func unsupported(w http.ResponseWriter, status int, message string) {
	Refuse(w, status, "UNSUPPORTED", message)
}

// Fail answers a request that failed with err.
func Fail(w http.ResponseWriter, err error) {
	switch fault.KindOf(err) {
	case fault.NotFound:
		Refuse(w, http.StatusNotFound, "NAME_UNKNOWN", withHint(err))
	case fault.Conflict, fault.Refused: // what is locked, and what a registry cannot do
		unsupported(w, http.StatusMethodNotAllowed, withHint(err))
	case fault.Denied:
		Refuse(w, http.StatusForbidden, "DENIED", withHint(err))
	case fault.Invalid:
		Refuse(w, http.StatusBadRequest, "NAME_INVALID", withHint(err))
	case fault.TooLarge:
		Refuse(w, http.StatusRequestEntityTooLarge, "SIZE_INVALID", withHint(err))
	case fault.Throttled, fault.Full:
		w.Header().Set("Retry-After", "5")
		Refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS", withHint(err))
	default:
		w.Header().Set("Retry-After", "5")
		Refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE", withHint(err))
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
