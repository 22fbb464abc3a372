package arm

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// answer writes body as JSON.
func answer(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		status = http.StatusInternalServerError
		raw = []byte(`{"error":{"code":"InternalServerError","message":"the answer cannot be encoded as JSON"}}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(raw) // an error means that the client has gone
}

// list returns items in the form of a list of the resource manager.
func list(items ...any) map[string]any {
	if items == nil {
		items = []any{}
	}
	return map[string]any{"value": items}
}

// writeError answers with an error in the form of the resource manager. SDKs read the header
// x-ms-error-code first.
func writeError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("X-Ms-Error-Code", code)
	answer(w, status, map[string]any{"error": map[string]string{"code": code, "message": message}})
}

// notFound answers a request for a path or an operation that dray does not have.
func notFound(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		writeError(w, http.StatusNotFound, "InvalidResourceOperation",
			"dray supports only the import of images, not this operation.")
		return
	}
	writeError(w, http.StatusNotFound, "InvalidResourceType",
		"dray supports only container registries and the import of images, not this resource.")
}

// unauthorized answers 401 to a request without a valid login. err may be nil.
func (h *handler) unauthorized(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil && !fault.Is(err, fault.Denied) {
		refuse(w, err)
		return
	}
	message := "Log in with a token of dray."
	if err != nil {
		message = withHint(err)
	}
	w.Header().Set("WWW-Authenticate", `Bearer authorization_uri="`+h.base(r)+`/adfs"`)
	writeError(w, http.StatusUnauthorized, "AuthenticationFailed", message)
}

// refuse answers a request that failed itself. For a job that failed, see failed.
func refuse(w http.ResponseWriter, err error) {
	switch kind := fault.KindOf(err); kind {
	case fault.Denied:
		writeError(w, http.StatusForbidden, "AuthorizationFailed", withHint(err))
	case fault.Conflict:
		writeError(w, http.StatusConflict, "Conflict", withHint(err))
	case fault.NotFound:
		writeError(w, http.StatusNotFound, "NotFound", withHint(err))
	case fault.Throttled, fault.Full:
		w.Header().Set("Retry-After", "5")
		writeError(w, http.StatusTooManyRequests, "TooManyRequests", withHint(err))
	case fault.TooLarge:
		writeError(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", withHint(err))
	case fault.Unavailable, fault.Canceled:
		w.Header().Set("Retry-After", "5")
		writeError(w, http.StatusServiceUnavailable, "ServerTimeout", withHint(err))
	case fault.Internal:
		writeError(w, http.StatusInternalServerError, "InternalServerError", withHint(err))
	default:
		writeError(w, http.StatusBadRequest, "InvalidParameters", withHint(err))
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

// read decodes the body into v. The error is Invalid.
func read(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	if err := d.Decode(v); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return invalid("the value of " + wrong.Field + " has the wrong type")
		}
		return invalid("the body is not valid JSON for this operation") // the error of the decoder may quote a password
	}
	return nil
}

func invalid(cause string) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "read request", Err: errors.New(cause)}
}
