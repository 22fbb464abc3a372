package signin

import (
	"net/http"
	"strings"
)

// Challenge is one way in which a registry wants to know who asks (RFC 9110 §11.6.1).
type Challenge struct {
	Scheme string            // lower case
	params map[string]string // keys in lower case
}

// ParseChallenges reads WWW-Authenticate headers: several in one header or in
// several, and with the slips that registries make (quotes that never close,
// commas that are missing or too many). It never fails; what makes no sense is left out.
func ParseChallenges(h http.Header) []Challenge {
	var all []Challenge
	for _, line := range h.Values("WWW-Authenticate") {
		all = append(all, parseChallenge(line)...)
	}
	return all
}

func parseChallenge(s string) []Challenge {
	var all []Challenge
	for {
		s = strings.TrimLeft(s, " \t,")
		word, rest := token(s)
		if word == "" {
			return all
		}
		value, after, isParam := param(rest)
		switch {
		case !isParam:
			all = append(all, Challenge{Scheme: strings.ToLower(word), params: map[string]string{}})
			s = rest
		case len(all) == 0:
			s = after // a parameter of nothing
		default:
			params := all[len(all)-1].params
			if key := strings.ToLower(word); params[key] == "" {
				params[key] = value
			}
			s = after
		}
	}
}

// token cuts a token (RFC 9110 §5.6.2) off s; bytes that can not be in one are passed over.
func token(s string) (word, rest string) {
	s = strings.TrimLeftFunc(s, func(r rune) bool { return !inToken(r) })
	if i := strings.IndexFunc(s, func(r rune) bool { return !inToken(r) }); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

func inToken(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// param cuts "=value" off s. A quoted value that never closes ends with the header.
func param(s string) (value, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t")
	if !strings.HasPrefix(s, "=") {
		return "", s, false
	}
	s = strings.TrimLeft(s[1:], " \t")
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, ", \t")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '"':
			return b.String(), s[i+1:], true
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), "", true
}
