package canary

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Word is part of every secret that a test makes up. It consists of characters that URLs, JSON and HTML leave
// as they are.
const Word = "canary-7f3a91"

// Password is the password of a user whom no test distinguishes from others.
const Password = "secret-" + Word

// mark is a text that no output may contain, and its name in messages.
type mark struct{ name, text string }

// marks are the forms in which Word could leak: as it is, and in each way in which programs write bytes as text.
func marks() []mark {
	all := []mark{
		{"the canary", Word},
		{"the canary in upper case", strings.ToUpper(Word)},
		{"the canary in hex", hex.EncodeToString([]byte(Word))},
		{"the canary in hex", strings.ToUpper(hex.EncodeToString([]byte(Word)))},
		{"the canary with an escape", strings.ReplaceAll(Word, "-", "%2D")},
		{"the canary with an escape", strings.ReplaceAll(Word, "-", "%2d")},
		{"a private key", "PRIVATE KEY-----"},
	}
	for before := range 3 {
		all = append(all, mark{"the canary in base64", inBase64(before)})
	}
	return all
}

// inBase64 returns the characters that stand for Word in the base64 of a longer text, in which the given number of
// bytes comes before it, counted modulo 3. The first and the last character depend on what is around Word.
func inBase64(before int) string {
	text := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + Word))
	first := []int{0, 2, 3}[before]
	last := len(text)
	if (before+len(Word))%3 != 0 {
		last--
	}
	return text[first:last]
}

// Text fails the test if a text contains a secret. what says where the text comes from.
func Text(tb testing.TB, what, text string) {
	tb.Helper()
	for _, f := range Search([]byte(text)) {
		tb.Errorf("%s: %s", what, f)
	}
}

// InRequest searches what proxies and servers write into their logs of a request: its path, its query and all headers
// but those that carry logins. An address that a storage has signed has its signature in the query, as "sig".
func InRequest(path, query string, header http.Header) []Finding {
	var text strings.Builder
	text.WriteString(path + "?")
	for part := range strings.SplitSeq(query, "&") {
		if !strings.HasPrefix(part, "sig=") {
			text.WriteString(part + "&")
		}
	}
	for name, values := range header {
		if !slices.Contains([]string{"Authorization", "Proxy-Authorization"}, name) {
			text.WriteString("\n" + name + ": " + strings.Join(values, ", "))
		}
	}
	return Search([]byte(text.String()))
}

// Finding is a secret that was found.
type Finding struct {
	Form   string // in which form: "the canary in base64"
	Around string // the text around it
}

// String returns "FORM in TEXT".
func (f Finding) String() string { return fmt.Sprintf("%s in %q", f.Form, f.Around) }
