package world

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/drayage/dray/internal/testbed"
)

// strayed returns a request of this run that carries a login to where it does not belong, or "".
func (s *Stage) strayed() string {
	for _, p := range []*party{s.src, s.dst} {
		for _, r := range p.hosts() {
			for _, q := range p.log(r) {
				if why := p.carries(r, q); why != "" {
					return fmt.Sprintf("%s %s at %s carries %s", q.Method, q.Path, r.Host, why)
				}
			}
		}
	}
	return ""
}

// carries returns what a request to a host of p carries and should not, or "".
func (p *party) carries(r *testbed.Registry, q testbed.Request) string {
	for name, values := range q.Header {
		text := strings.Join(values, " ")
		switch {
		case strings.Contains(text, "secret-of-"):
			return "a password in the header " + name
		case name == "Cookie" || name == "Proxy-Authorization":
			return "the header " + name
		case r == p.away && name == "Authorization":
			return "a login that is the registry's"
		}
	}
	if strings.Contains(q.RawQuery, "secret-of-") {
		return "a password in its query"
	}
	authorization := q.Header.Get("Authorization")
	if token, ok := strings.CutPrefix(authorization, "Bearer "); ok {
		return p.token(r, token)
	}
	if authorization == "" {
		return ""
	}
	user, password, ok := (&http.Request{Header: q.Header}).BasicAuth()
	switch {
	case !ok || user != p.name || password != secretOf(p.name):
		return "the login of another registry"
	case p.login == Anonymous:
		return "a login, and none was given"
	case p.login != Basic && q.Kind != testbed.Token:
		return "the password, and is not for a token"
	}
	return ""
}

// token returns what is wrong with a token at a host, or "".
func (p *party) token(r *testbed.Registry, token string) string {
	var claims struct{ Sub string }
	parts := strings.Split(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)])
	switch {
	case err != nil || json.Unmarshal(raw, &claims) != nil:
		return "something that no token service gave"
	case claims.Sub != p.name && (claims.Sub != "" || p.login != Anonymous):
		return "a token of " + claims.Sub
	case r != p.Registry || p.login == Basic:
		return "a token, and is not the registry"
	}
	return ""
}
