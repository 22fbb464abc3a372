package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/fault"
)

const tokenPath = "/v2/token"

// tokenLife is how long a token of this service is taken: tools ask for one for each
// repository, and again when it ends.
const tokenLife = 5 * time.Minute

// challenge is Bearer where the address of its tokens is sure to be safe: az knows Azure's
// registries by it, and a tool that has no login could not answer Basic where somebody may pull
// without. Else it is Basic, which every tool speaks. Who sends Basic unasked is taken always.
func (g *gate) challenge(w http.ResponseWriter, r *http.Request) {
	challenge, base := access.Challenge, g.config.base(r)
	if g.config.anonymous() || strings.HasPrefix(base, "https://") {
		challenge = fmt.Sprintf(`Bearer realm="%s%s",service="dray"`, base, tokenPath)
	}
	w.Header().Set("WWW-Authenticate", challenge)
	refuseV2(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
}

// base is what clients call this server.
func (c Config) base(r *http.Request) string {
	switch {
	case c.PublicURL != "":
		return c.PublicURL
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// token trades credentials, or none, for a short-lived token (the token specification of
// distribution v3, "Token Authentication Specification"). What it may do is decided when it is
// used, so the scopes that are asked for are of no account.
func (p *parts) token(w http.ResponseWriter, r *http.Request) {
	who, err := p.access.Authenticate(r)
	if err == nil {
		var text string
		var ends time.Time
		if text, ends, err = p.access.Issue(who, tokenLife, nil); err == nil {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "no-store")
			json.NewEncoder(w).Encode(map[string]any{"token": text, "access_token": text,
				"expires_in": int(time.Until(ends).Seconds()), "issued_at": time.Now().UTC().Format(time.RFC3339)})
			return
		}
	}
	if fault.Is(err, fault.Denied) {
		w.Header().Set("WWW-Authenticate", access.Challenge)
		refuseV2(w, http.StatusUnauthorized, "UNAUTHORIZED", "wrong credentials")
		return
	}
	refuseV2(w, http.StatusServiceUnavailable, "UNKNOWN", "who asks can not be told now")
}
