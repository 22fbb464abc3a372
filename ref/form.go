package ref

import "strings"

// Limits of the grammar.
const (
	MaxPath = 255 // bytes of host and path together
	MaxTag  = 128 // bytes
)

// The grammar by hand: as regular expressions it is most of what the start of a program
// that only asks for its version would do.

// isPath: components of a-z0-9 between single slashes, each of whose parts are joined by
// one dot, one or two underscores, or any number of dashes.
func isPath(s string) bool {
	for part := range strings.SplitSeq(s, "/") {
		if !isComponent(part) {
			return false
		}
	}
	return true
}

func isComponent(s string) bool {
	if s == "" || !lower(s[0]) || !lower(s[len(s)-1]) {
		return false
	}
	for i := 0; i < len(s); {
		from := i
		for i < len(s) && !lower(s[i]) {
			i++
		}
		switch join := s[from:i]; {
		case join == "", join == ".", join == "_", join == "__", strings.Trim(join, "-") == "":
		default:
			return false
		}
		for i < len(s) && lower(s[i]) {
			i++
		}
	}
	return true
}

// isTag: a letter, digit or underscore, and 127 more of these, dots and dashes.
func isTag(s string) bool {
	if s == "" || len(s) > MaxTag || s[0] == '.' || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		if !alphanumeric(s[i]) && s[i] != '_' && s[i] != '.' && s[i] != '-' {
			return false
		}
	}
	return true
}

// isDomain: labels between single dots, of letters and digits, with dashes inside.
func isDomain(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || !alphanumeric(label[0]) || !alphanumeric(label[len(label)-1]) {
			return false
		}
		for i := range len(label) {
			if !alphanumeric(label[i]) && label[i] != '-' {
				return false
			}
		}
	}
	return true
}

// isDigest: an algorithm that is known, and as many hexadecimal digits as it has.
func isDigest(s string) bool {
	algorithm, digits, _ := strings.Cut(s, ":")
	n := map[string]int{"sha256": 64, "sha384": 96, "sha512": 128}[algorithm]
	if n == 0 || len(digits) != n {
		return false
	}
	for i := range len(digits) {
		if c := digits[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// isDrive: a path of Windows with its letter.
func isDrive(s string) bool {
	return len(s) > 2 && (s[0]|0x20 >= 'a' && s[0]|0x20 <= 'z') && s[1] == ':' && (s[2] == '\\' || s[2] == '/')
}

func lower(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

func alphanumeric(c byte) bool { return lower(c) || c >= 'A' && c <= 'Z' }
