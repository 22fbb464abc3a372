package reason

import (
	"strings"
	"unicode"
)

// Clean returns the printable part of s on one line, shortened to 200 characters.
func Clean(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:199]) + "…"
	}
	return s
}
