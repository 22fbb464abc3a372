package gate

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/fault"
)

// Token answers with a short-lived token for the caller, which may be anonymous (distribution v3,
// "Token Authentication Specification"). It ignores the requested scopes, because the rules are
// checked each time the token is used.
func (g *Gate) Token(w http.ResponseWriter, r *http.Request) {
	who, err := g.Access.Authenticate(r)
	if err == nil {
		var text string
		var ends time.Time
		if text, ends, err = g.Access.Issue(who, tokenLife, nil); err == nil {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "no-store")
			_ = json.NewEncoder(w).Encode(map[string]any{ // an error means that the client has gone
				"token":        text,
				"access_token": text,
				"expires_in":   int(time.Until(ends).Seconds()),
				"issued_at":    time.Now().UTC().Format(time.RFC3339),
			})
			return
		}
	}
	if fault.Is(err, fault.Denied) {
		w.Header().Set("WWW-Authenticate", access.Challenge)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", causeOf(err))
		return
	}
	refuse(w, http.StatusServiceUnavailable, "UNKNOWN", "the caller cannot be authenticated now")
}

// tokenLife is how long a token is valid. Tools ask for a token for each repository, and for a new
// one when it has expired.
const tokenLife = 5 * time.Minute
