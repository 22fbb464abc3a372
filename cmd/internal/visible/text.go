package visible

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line returns s on one line, for sentences: a tab or a line break becomes a space, and each other character that is
// not seen as itself an escape.
func Line(s string) string {
	if isPlain(s, "") {
		return s
	}
	return escape(s, "\n\r\t", func(rune) string { return " " })
}

// Cell returns s on one line, for names and values: it is Line, but writes a tab or a line break as \t, \n or \r, so
// that two different names look different.
func Cell(s string) string {
	if isPlain(s, "") {
		return s
	}
	return escape(s, "\n\r\t", func(r rune) string {
		return map[rune]string{'\n': `\n`, '\r': `\r`, '\t': `\t`}[r]
	})
}

// Text returns s with its tabs and line ends, and each other character that is not seen as itself as an escape.
func Text(s string) string {
	if isPlain(s, "\n\t") {
		return s
	}
	return escape(s, "\n\t", func(r rune) string { return string(r) })
}

// Hidden reports whether a character is not seen as itself: a control character of C0 or C1, a mark that changes the
// direction of text, a character without width, a variation selector, a tag, a filler, or none of Unicode's.
func Hidden(r rune) bool {
	if r < 0x7f {
		return r < ' '
	}
	return !unicode.IsGraphic(r) || unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// isPlain reports whether s is of printable ASCII and own, as almost all that is printed.
func isPlain[T string | []byte](s T, own string) bool {
	for i := range len(s) {
		if (s[i] < ' ' || s[i] > '~') && strings.IndexByte(own, s[i]) < 0 {
			return false
		}
	}
	return true
}

// escape returns s with its hidden characters escaped, and those of own replaced by what as returns.
func escape(s, own string, as func(rune) string) string {
	var b bytes.Buffer
	for i, r := range s {
		switch {
		case strings.ContainsRune(own, r) && r != utf8.RuneError:
			b.WriteString(as(r))
		case r == utf8.RuneError:
			if _, n := utf8.DecodeRuneInString(s[i:]); n > 1 {
				b.WriteRune(r)
				continue
			}
			b.WriteString(`\ufffd`)
		case Hidden(r):
			writeEscape(&b, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// writeEscape writes r as JSON escapes it: above U+FFFF as two halves.
func writeEscape(b *bytes.Buffer, r rune) {
	halves := []rune{r}
	if r > 0xffff {
		halves = []rune{(r-0x10000)>>10 + 0xd800, (r-0x10000)&0x3ff + 0xdc00}
	}
	for _, h := range halves {
		b.WriteString(`\u`)
		for shift := 12; shift >= 0; shift -= 4 {
			b.WriteByte("0123456789abcdef"[h>>shift&0xf])
		}
	}
}
