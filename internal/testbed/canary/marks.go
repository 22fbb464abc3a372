package canary

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// Word is part of every secret that a test makes up. It consists of characters that URLs, JSON and HTML leave
// as they are.
const Word = "canary-7f3a91"

// Password is the password of a user whom no test distinguishes from others.
const Password = "secret-" + Word

// Token returns a unique token in the form of a JWT, with the canary in its signature.
func Token(claims map[string]any) string {
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	return part(map[string]string{"alg": "none", "typ": "JWT"}) + "." + part(claims) + "." + Word + rand.Text()
}

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

// Finding is a secret that was found.
type Finding struct {
	Form   string // in which form: "the canary in base64"
	Around string // the text around it
}

// String returns "FORM in TEXT".
func (f Finding) String() string { return fmt.Sprintf("%s in %q", f.Form, f.Around) }
