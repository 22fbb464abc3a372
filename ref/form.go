package ref

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/drayage/dray/fault"
)

// Limits of the grammar.
const (
	// MaxPath is the maximum length in bytes of host, slash and path together.
	MaxPath = 255

	// MaxTag is the maximum length of a tag in bytes.
	MaxTag = 128
)

// The functions below match the grammar by hand. Regular expressions would be compiled when a
// program starts, and that would take most of the run time of a command such as "dray version".

// isPath reports whether s is the path of a repository: "team/my-app_v2.x". Components are separated
// by single slashes. A component consists of runs of a-z0-9, which are joined by one dot, one or two
// underscores, or any number of dashes.
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

// isTag reports whether s is a tag: a letter, a digit or an underscore, followed by at most 127 of
// these characters, dots and dashes.
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

// isDomain reports whether s is a host name: labels separated by single dots. A label consists of
// letters and digits, and of dashes that are not at its ends.
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

// isDigest reports whether s is a digest: a known algorithm, a colon, and as many lower-case
// hexadecimal digits as the algorithm has.
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

// isDrive reports whether s begins with a Windows drive letter: "C:\" or "C:/".
func isDrive(s string) bool {
	return len(s) > 2 && (s[0]|0x20 >= 'a' && s[0]|0x20 <= 'z') && s[1] == ':' && (s[2] == '\\' || s[2] == '/')
}

func lower(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

func alphanumeric(c byte) bool { return lower(c) || c >= 'A' && c <= 'Z' }

// LooksLikeHost reports whether s, the first component of a name, is read as a host: it has a dot or
// a colon, or is "localhost".
func LooksLikeHost(s string) bool {
	return strings.ContainsAny(s, ".:") || strings.EqualFold(s, "localhost")
}

type errText string

func (e errText) Error() string { return string(e) }

// invalid returns the error about name. It quotes a name with blanks or control characters, which would be
// invisible otherwise.
func invalid(name, cause, hint string) error {
	unseen := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
	if strings.ContainsFunc(name, unseen) && name[0] != '"' {
		name = strconv.Quote(name)
	}
	return &fault.Fault{Kind: fault.Invalid, Op: "parse name", Name: name, Hint: hint, Err: errText(cause)}
}
