package reason

import (
	"regexp"
	"strings"
	"sync"
	"unicode"

	"github.com/drayage/dray/credential"
)

// Clean returns the printable part of s on one line, shortened to 200 characters.
func Clean(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:199]) + "…"
	}
	return s
}

// secrets finds what may be a login that a server repeats in the text of its refusal: the value of an
// Authorization header, a JWT, and a password in a URL.
var secrets = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(
		`(?i)\b(bearer|basic) +[a-z0-9+/=._~-]{6,}|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+|://[^/\s:@]*:[^/\s@]+@`)
})

// hide replaces what may be a login in the text of an answer.
func hide(s string) string { return secrets().ReplaceAllString(s, "…") }

// Whose says which login was used at host.
func Whose(host string, l credential.Login) string {
	if l.IsAnonymous() {
		return "no login for " + host + " was found"
	}
	return "the login is " + Clean(l.Identity())
}
