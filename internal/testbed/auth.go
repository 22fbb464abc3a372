package testbed

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Mode says how a registry wants people to sign in.
type Mode string

// The zero Mode is None.
const (
	None   Mode = ""
	Basic  Mode = "basic"
	Bearer Mode = "bearer"
)

// Challenge says what a 401 looks like in Bearer mode.
type Challenge string

const (
	// Plain is one Bearer challenge with realm, service and the scope that
	// the request needs.
	Plain Challenge = ""
	// TwoChallenges is what Gitea sends: Bearer with scope "*", and Basic in a
	// second header. Basic is accepted, too.
	TwoChallenges Challenge = "two"
	// OnlyOnPing leaves WWW-Authenticate out of every 401 but that of /v2/, as
	// gcr.io does.
	OnlyOnPing Challenge = "ping"
)

// Realm says where the token service listens.
type Realm string

// The zero Realm is SameListener: the registry's own origin. OtherListener is
// another port of 127.0.0.1, recorded by Issuer.Server; on Pipes it is
// "127.0.0.1:5001", to be reached by Dialer.
const (
	SameListener  Realm = ""
	OtherListener Realm = "other"
)

// Anonymous says what a request without credentials gets.
type Anonymous string

// The zero Anonymous is Nothing.
const (
	Nothing Anonymous = ""
	Pull    Anonymous = "pull" // tokens for pull without credentials; Bearer mode only
)

// Dialect says which requests a token service understands.
type Dialect string

const (
	// Docker has GET /token with Basic and POST /token with grant_type password
	// or refresh_token; answers carry expires_in and issued_at.
	Docker Dialect = ""
	// ACR has /oauth2/token in place of /token, answers without expires_in, and
	// POST /oauth2/exchange, which turns an Entra access token (a value of
	// Auth.Entra) into a refresh token.
	ACR Dialect = "acr"
)

// Auth describes who may do what. The zero value lets everybody do everything.
type Auth struct {
	Mode      Mode
	Challenge Challenge
	Realm     Realm
	Anonymous Anonymous
	Dialect   Dialect

	Users map[string]string // name to password; nil is user "user" with password "secret"
	Entra map[string]string // Entra access token to user name, for ACR

	TTL     time.Duration // of a token; 0 is five minutes
	Service string        // "" is "testbed"

	// May narrows what a signed-in user gets; nil is everything. The actions
	// are pull, push, delete and ACR's metadata_read, and * on the repository "registry:catalog".
	May func(user, repo, action string) bool
}

func (a Auth) users() map[string]string {
	if a.Users == nil {
		return map[string]string{"user": "secret"}
	}
	return a.Users
}

func (a Auth) service() string {
	if a.Service == "" {
		return "testbed"
	}
	return a.Service
}

func (a Auth) knows(user, password string) bool {
	want, ok := a.users()[user]
	return ok && want == password
}

func (a Auth) may(user, repo, action string) bool {
	if user == "" {
		return a.Anonymous == Pull && action == "pull"
	}
	return a.May == nil || a.May(user, repo, action)
}

// guard puts authentication in front of a registry.
func guard(tb testing.TB, r *Registry, next http.Handler, o Options) http.Handler {
	tb.Helper()
	switch o.Auth.Mode {
	case Basic:
		return basic(next, o.Auth)
	case Bearer:
		r.Issuer = newIssuer(tb, o)
		return bearer(next, r.Issuer)
	}
	return next
}

func basic(next http.Handler, a Auth) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		user, password, _ := req.BasicAuth()
		if !a.knows(user, password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="testbed"`)
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
			return
		}
		for _, n := range needs(req) {
			if !a.may(user, n.repo, n.action) {
				refuse(w, http.StatusForbidden, "DENIED", "requested access to the resource is denied")
				return
			}
		}
		next.ServeHTTP(w, req)
	})
}

func bearer(next http.Handler, i *Issuer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if i.auth.Realm == SameListener && Parse(req.URL.Path).Kind == Token {
			i.ServeHTTP(w, req)
			return
		}
		problem, ok := i.admits(req)
		if ok {
			next.ServeHTTP(w, req)
			return
		}
		i.challenge(w, req, problem)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
	})
}

// admits reports whether a request carries what it needs; otherwise the
// problem is the error of RFC 6750 §3.1, "" when there was no token.
func (i *Issuer) admits(req *http.Request) (problem string, ok bool) {
	header := req.Header.Get("Authorization")
	if user, password, isBasic := req.BasicAuth(); isBasic && i.auth.Challenge == TwoChallenges {
		return "", i.auth.knows(user, password)
	}
	value, isBearer := strings.CutPrefix(header, "Bearer ")
	if !isBearer {
		return "", false
	}
	g, ok := i.grant(value)
	if !ok {
		return "invalid_token", false
	}
	for _, n := range needs(req) {
		if !g[n] {
			return "insufficient_scope", false
		}
	}
	return "", true
}

func (i *Issuer) challenge(w http.ResponseWriter, req *http.Request, problem string) {
	ping := Parse(req.URL.Path).Kind == Ping
	if i.auth.Challenge == OnlyOnPing && !ping {
		return
	}
	c := fmt.Sprintf("Bearer realm=%q,service=%q", i.URL, i.auth.service())
	scopes := scopesOf(needs(req))
	if i.auth.Challenge == TwoChallenges {
		scopes = "*"
	}
	if scopes != "" {
		c += fmt.Sprintf(",scope=%q", scopes)
	}
	if problem != "" {
		c += fmt.Sprintf(",error=%q", problem)
	}
	w.Header().Add("WWW-Authenticate", c)
	if i.auth.Challenge == TwoChallenges {
		w.Header().Add("WWW-Authenticate", `Basic realm="testbed"`)
	}
}

// need is one right that a request uses.
type need struct{ repo, action string }

const catalog = "registry:catalog"

// needs lists the rights by which distribution guards the same request. A
// mount also needs to pull from where it mounts. Unlike distribution, who may
// push may also give up an upload.
func needs(req *http.Request) []need {
	e := Parse(req.URL.Path)
	if e.Kind == Catalog {
		return []need{{catalog, "*"}}
	}
	if e.Repo == "" {
		return nil
	}
	var all []need
	switch {
	case e.Kind == Own && req.Method == http.MethodGet:
		all = append(all, need{e.Repo, "metadata_read"})
	case e.Kind == Own && req.Method == http.MethodPatch:
		all = append(all, need{e.Repo, "metadata_write"})
	case req.Method == http.MethodGet || req.Method == http.MethodHead:
		all = append(all, need{e.Repo, "pull"})
	case req.Method == http.MethodDelete && e.Kind != Upload:
		all = append(all, need{e.Repo, "delete"})
	default:
		all = append(all, need{e.Repo, "pull"}, need{e.Repo, "push"})
	}
	if from := req.URL.Query().Get("from"); from != "" && e.Kind == Upload {
		all = append(all, need{from, "pull"})
	}
	return all
}

// scopesOf writes rights as the scope value of a challenge, repository by
// repository.
func scopesOf(all []need) string {
	var order []string
	actions := map[string][]string{}
	for _, n := range all {
		if actions[n.repo] == nil {
			order = append(order, n.repo)
		}
		actions[n.repo] = append(actions[n.repo], n.action)
	}
	var b strings.Builder
	for i, repo := range order {
		if i > 0 {
			b.WriteByte(' ')
		}
		if repo == catalog {
			b.WriteString(catalog + ":*")
			continue
		}
		b.WriteString("repository:" + repo + ":" + strings.Join(actions[repo], ","))
	}
	return b.String()
}
