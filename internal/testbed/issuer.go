package testbed

import (
	"net/http"
	"strings"
	"time"

	"github.com/drayage/dray/internal/testbed/canary"
)

// settle sets the realm, unless the token service has its own listener.
func (i *Issuer) settle(origin string) {
	if i.URL != "" {
		return
	}
	i.URL = origin + i.path()
}

// Issued returns how many access tokens were issued.
func (i *Issuer) Issued() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.issued
}

// Revoke makes every access token invalid at once. Refresh tokens stay valid.
func (i *Issuer) Revoke() {
	i.mu.Lock()
	defer i.mu.Unlock()
	clear(i.tokens)
}

// RefreshToken returns a refresh token for user, as a login would store it.
func (i *Issuer) RefreshToken(user string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	ends := time.Now().Add(3 * time.Hour).Unix()
	t := canary.Token(map[string]any{"sub": user, "exp": ends, "grant_type": "refresh_token"})
	i.refreshs[t] = user
	return t
}

// grant returns the rights of a token. ok is false if the token is unknown or has expired.
func (i *Issuer) grant(value string) (map[need]bool, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	t, ok := i.tokens[value]
	return t.rights, ok && time.Now().Before(t.ends)
}

// ServeHTTP answers token requests as the Docker token specification describes (GET, and POST for
// OAuth2) and, for ACR, the exchange.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if err := req.ParseForm(); err != nil {
		Refuse(w, http.StatusBadRequest, "UNSUPPORTED", err.Error())
		return
	}
	switch {
	case req.URL.Path == "/oauth2/exchange" && i.auth.Dialect == ACR && req.Method == http.MethodPost:
		i.exchange(w, req)
	case req.URL.Path != i.path():
		http.NotFound(w, req)
	case req.Method == http.MethodGet:
		user, ok := i.byBasic(req)
		i.reply(w, req, user, ok)
	case req.Method == http.MethodPost:
		user, ok := i.byForm(req)
		i.reply(w, req, user, ok)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (i *Issuer) path() string {
	if i.auth.Dialect == ACR {
		return "/oauth2/token"
	}
	return tokenPath
}

// byBasic returns the user of a request with Basic authentication; "" is anonymous.
func (i *Issuer) byBasic(req *http.Request) (user string, ok bool) {
	user, password, given := req.BasicAuth()
	if !given {
		return "", i.auth.Anonymous != Nothing && req.Header.Get("Authorization") == ""
	}
	if who, ok := i.refresher(password); ok && (user == acrUser || user == who) {
		return who, true
	}
	return user, i.auth.knows(user, password)
}

// acrUser is the user name under which a login to ACR stores a refresh token.
const acrUser = "00000000-0000-0000-0000-000000000000"

func (i *Issuer) byForm(req *http.Request) (user string, ok bool) {
	switch req.PostForm.Get("grant_type") {
	case "password":
		user = req.PostForm.Get("username")
		if user == "" && i.auth.Dialect == ACR {
			return "", i.auth.Anonymous != Nothing
		}
		return user, i.auth.knows(user, req.PostForm.Get("password"))
	case "refresh_token":
		return i.refresher(req.PostForm.Get("refresh_token"))
	}
	return "", false
}

func (i *Issuer) refresher(value string) (user string, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	user, ok = i.refreshs[value]
	return user, ok
}

func (i *Issuer) exchange(w http.ResponseWriter, req *http.Request) {
	user, ok := i.auth.Entra[req.PostForm.Get("access_token")]
	if !ok || req.PostForm.Get("grant_type") != "access_token" || req.PostForm.Get("service") == "" {
		Refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
		return
	}
	Answer(w, map[string]any{"refresh_token": i.RefreshToken(user)})
}

func (i *Issuer) reply(w http.ResponseWriter, req *http.Request, user string, ok bool) {
	if !ok {
		Refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
		return
	}
	access := i.issue(user, req.Form["scope"])
	if i.auth.Dialect == ACR {
		Answer(w, map[string]any{"access_token": access})
		return
	}
	m := map[string]any{
		"token": access, "access_token": access,
		"expires_in": int(i.ttl().Seconds()), "issued_at": time.Now().UTC().Format(time.RFC3339),
	}
	if user != "" && (req.Form.Get("offline_token") == "true" || req.Form.Get("access_type") == "offline") {
		m["refresh_token"] = i.RefreshToken(user)
	}
	Answer(w, m)
}

func (i *Issuer) ttl() time.Duration {
	if i.auth.TTL == 0 {
		return 5 * time.Minute
	}
	return i.auth.TTL
}

// issue returns a token with those of the scopes that the user may have. Like a real token service
// it grants less than was requested instead of refusing.
func (i *Issuer) issue(user string, scopes []string) string {
	rights := map[need]bool{}
	for scope := range strings.FieldsSeq(strings.Join(scopes, " ")) {
		for _, n := range parseScope(scope) {
			if i.auth.may(user, n.repo, n.action) {
				rights[n] = true
			}
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.issued++
	ends := time.Now().Add(i.ttl())
	claims := map[string]any{"sub": user, "iat": time.Now().Unix(), "exp": ends.Unix()}
	if i.auth.Told {
		claims["access"] = accessOf(rights)
	}
	value := canary.Token(claims)
	i.tokens[value] = token{rights, ends}
	return value
}

// accessOf returns the claim "access" for rights (distribution's token specification §Claim Set).
func accessOf(rights map[need]bool) []map[string]any {
	all := []map[string]any{}
	for n := range rights {
		kind := "repository"
		if n.repo == catalog {
			kind = "registry"
		}
		all = append(all, map[string]any{"type": kind, "name": n.repo, "actions": []string{n.action}})
	}
	return all
}

// parseScope reads "repository:team/app:pull,push" and "registry:catalog:*".
func parseScope(s string) []need {
	if s == catalog+":*" {
		return []need{{catalog, "*"}}
	}
	rest, ok := strings.CutPrefix(s, "repository:")
	at := strings.LastIndex(rest, ":")
	if !ok || at < 0 {
		return nil
	}
	var all []need
	for action := range strings.SplitSeq(rest[at+1:], ",") {
		if action == "*" {
			all = append(all, need{rest[:at], "pull"}, need{rest[:at], "push"}, need{rest[:at], "delete"})
			continue
		}
		all = append(all, need{rest[:at], action})
	}
	return all
}
