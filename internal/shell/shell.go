package shell

import "strings"

// Dray returns the command line that runs dray with args.
func Dray(args ...string) string { return Line("dray", args...) }

// Line returns the command line that runs program with args.
func Line(program string, args ...string) string {
	words := []string{Quote(program)}
	for _, arg := range args {
		words = append(words, Quote(arg))
	}
	return strings.Join(words, " ")
}

// Quote returns s as one word of a POSIX shell, in single quotes if it needs them.
func Quote(s string) string {
	if s != "" && !strings.ContainsFunc(s, special) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// special reports whether a shell may read r as something else than itself.
func special(r rune) bool {
	alphanumeric := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !alphanumeric && !strings.ContainsRune("_@%+=:,./-", r)
}
