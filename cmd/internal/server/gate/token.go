package gate

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/fault"
)

// Token trades credentials, or none, for a short-lived token (the token specification of
// distribution v3, "Token Authentication Specification"). What it may do is decided when it is
// used, so the scopes that are asked for are of no account.
func (g *Gate) Token(w http.ResponseWriter, r *http.Request) {
	who, err := g.Access.Authenticate(r)
	if err == nil {
		var text string
		var ends time.Time
		if text, ends, err = g.Access.Issue(who, tokenLife, nil); err == nil {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "no-store")
			json.NewEncoder(w).Encode(map[string]any{"token": text, "access_token": text,
				"expires_in": int(time.Until(ends).Seconds()), "issued_at": time.Now().UTC().Format(time.RFC3339)})
			return
		}
	}
	if fault.Is(err, fault.Denied) {
		w.Header().Set("WWW-Authenticate", access.Challenge)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "wrong credentials")
		return
	}
	refuse(w, http.StatusServiceUnavailable, "UNKNOWN", "who asks can not be told now")
}

// tokenLife is how long a token of this service is taken: tools ask for one for each
// repository, and again when it ends.
const tokenLife = 5 * time.Minute
