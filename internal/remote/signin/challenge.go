package signin

import (
	"net/http"
	"strings"
)

// Challenge is one way of authentication that a registry offers (RFC 9110 §11.6.1).
type Challenge struct {
	Scheme string            // in lower case
	params map[string]string // keys in lower case
}

// ParseChallenges parses the WWW-Authenticate headers of h. There may be several challenges in one
// header and several headers. It accepts the mistakes that registries make: quotes that are not
// closed, and commas that are missing or superfluous. It never fails; it skips what it cannot
// parse.
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
			s = after // a parameter without a scheme
		default:
			params := all[len(all)-1].params
			if key := strings.ToLower(word); params[key] == "" {
				params[key] = value
			}
			s = after
		}
	}
}

// token cuts a token (RFC 9110 §5.6.2) off s. It skips bytes that cannot be part of one.
func token(s string) (word, rest string) {
	s = strings.TrimLeftFunc(s, func(r rune) bool { return !inToken(r) })
	if i := strings.IndexFunc(s, func(r rune) bool { return !inToken(r) }); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

func inToken(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
		strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// param cuts "=value" off s. A quoted value that is not closed extends to the end of the header.
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
