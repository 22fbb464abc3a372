package fault

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const redacted = "[redacted]" // as [credential.Secret] prints

// WithoutLogins returns s with "[redacted]" in place of the passwords in it. People copy addresses such as
// https://USER:PASSWORD@HOST from other tools into names, lists and variables, and errors repeat what they wrote.
func WithoutLogins(s string) string {
	if !strings.Contains(s, "@") {
		return s
	}
	ends := func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("\"'`", r) }
	var out strings.Builder
	for s != "" {
		word := s
		if i := strings.IndexFunc(s, ends); i >= 0 {
			_, size := utf8.DecodeRuneInString(s[i:])
			word = s[:i+size]
		}
		out.WriteString(withoutLogin(word))
		s = s[len(word):]
	}
	return out.String()
}

// withoutLogin returns word without the password before its last "@" that does not begin a digest.
func withoutLogin(word string) string {
	at := strings.LastIndexByte(word, '@')
	for at >= 0 && isDigest(word[at+1:]) {
		at = strings.LastIndexByte(word[:at], '@')
	}
	if at < 0 || isOnDisk(word) {
		return word
	}
	from, isURL := 0, false
	if i := strings.Index(word[:at], "//"); i >= 0 {
		from = i + 2
		isURL = slices.Contains([]string{"http:", "https:", "docker:", "oci:"}, strings.TrimLeft(word[:i], "(["))
	}
	switch colon := strings.IndexByte(word[from:at], ':'); {
	case colon >= 0:
		from += colon + 1
	case !isURL:
		return word // a user alone
	}
	return word[:from] + redacted + word[at:]
}

// isOnDisk reports whether word is the name of a file or a directory, whose name may have an "@".
func isOnDisk(word string) bool {
	transport, rest, _ := strings.Cut(strings.TrimLeft(word, "([{"), ":")
	onDisk := slices.Contains([]string{"oci", "oci-archive", "docker-archive", "dir"}, transport)
	return onDisk && (!strings.HasPrefix(rest, "//") || strings.HasPrefix(rest, "///"))
}

// isDigest reports whether s begins as what follows the "@" of a name does, in a name or in a message.
func isDigest(s string) bool {
	begins := func(with string) bool { return strings.HasPrefix(s, with) }
	return slices.ContainsFunc([]string{"sha256:", "sha384:", "sha512:", "DIGEST"}, begins)
}
