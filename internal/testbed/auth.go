package testbed

import (
	"fmt"
	"net/http"
	"strings"
)

func basic(next http.Handler, a Auth) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		user, password, _ := req.BasicAuth()
		if !a.knows(user, password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="testbed"`)
			Refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
			return
		}
		for _, n := range needs(req) {
			if !a.may(user, n.repo, n.action) {
				Refuse(w, http.StatusForbidden, "DENIED", "requested access to the resource is denied")
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
		Refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
	})
}

// admits reports whether a request carries the credentials that it requires. If not, problem is the
// error code of RFC 6750 §3.1, or "" if the request has no token.
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

// scopesOf writes rights as the scope value of a challenge, repository by repository.
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
