package echo

import (
	"strconv"
	"strings"
)

// plain is a text without the escapes of URLs, JSON, Go and HTML, without spaces and line breaks, and in lower case.
// Each of its bytes knows where in the text it comes from.
type plain struct {
	text string
	from []int // offset of each byte
	to   []int // offset after each byte
}

// plainOf returns the plain form of s.
func plainOf(s string) plain {
	var b strings.Builder
	b.Grow(len(s))
	p := plain{from: make([]int, 0, len(s)), to: make([]int, 0, len(s))}
	for i := 0; i < len(s); {
		c, n := unescape(s[i:])
		if c > ' ' && c != 0x7f {
			b.WriteByte(lower(c))
			p.from, p.to = append(p.from, i), append(p.to, i+n)
		}
		i += n
	}
	p.text = b.String()
	return p
}

// rawOf is the plain form of s with all escapes left as they are.
func rawOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// unescape returns the byte that s begins with, and how many bytes of s it is written in. A character that is not
// one byte is returned as a space, if it is escaped.
func unescape(s string) (c byte, n int) {
	switch {
	case s[0] == '%' && len(s) >= 3:
		return hex(s, 1, 3, 3)
	case s[0] == '\\' && len(s) >= 6 && s[1] == 'u':
		return hex(s, 2, 6, 6)
	case s[0] == '\\' && len(s) >= 4 && s[1] == 'x':
		return hex(s, 2, 4, 4)
	case s[0] == '\\' && len(s) >= 2 && strings.IndexByte(`ntrbf`, s[1]) >= 0:
		return ' ', 2
	case s[0] == '\\' && len(s) >= 2 && strings.IndexByte(`\/"'`, s[1]) >= 0:
		return s[1], 2
	case s[0] == '&':
		return entity(s)
	}
	return s[0], 1
}

// hex reads s[from:to] as a hexadecimal number. If it is none, s begins with itself.
func hex(s string, from, to, n int) (byte, int) {
	v, err := strconv.ParseUint(s[from:to], 16, 32)
	switch {
	case err != nil:
		return s[0], 1
	case v > 0xff:
		return ' ', n
	}
	return byte(v), n
}

// entity reads an entity of HTML.
func entity(s string) (byte, int) {
	end := strings.IndexByte(s[:min(len(s), 8)], ';')
	if end < 0 {
		return '&', 1
	}
	name := s[1:end]
	switch name {
	case "amp":
		return '&', end + 1
	case "lt":
		return '<', end + 1
	case "gt":
		return '>', end + 1
	case "quot":
		return '"', end + 1
	case "apos":
		return '\'', end + 1
	}
	digits, isNumber := strings.CutPrefix(name, "#")
	base := 10
	if x, isHex := strings.CutPrefix(strings.ToLower(digits), "x"); isHex {
		digits, base = x, 16
	}
	if v, err := strconv.ParseUint(digits, base, 32); isNumber && err == nil && v <= 0x7f {
		return byte(v), end + 1
	}
	return '&', 1
}
