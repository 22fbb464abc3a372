package wire

import (
	"errors"
	"strings"
	"unicode"

	"github.com/drayage/dray/cmd/internal/visible"
)

// MaxNote is the maximum length of the name of a principal, and of the note of a token, in bytes.
const MaxNote = 255

// CheckScheduleName returns an error that says the grammar if no schedule may have the name. The names of mirror
// rules fit.
func CheckScheduleName(name string) error {
	const signs = "._-@:/+"
	for i, r := range name {
		letter := r <= 'z' && (unicode.IsLetter(r) || unicode.IsDigit(r))
		if !letter && (i == 0 || !strings.ContainsRune(signs, r)) {
			name = ""
			break
		}
	}
	if name == "" || len(name) > 128 {
		return errors.New("the name of a schedule has 1 to 128 letters and digits of ASCII and of the signs " + signs +
			", and begins with a letter or a digit")
	}
	return nil
}

// CheckPrincipalName returns an error that says the grammar if no principal may have the name. It comes from a token, a
// line of htpasswd or a certificate, so that it may have letters of any script.
func CheckPrincipalName(name string) error {
	if name == "" || !isSeen(name) {
		return errors.New("a principal's name has 1 to 255 characters that are seen as themselves: letters, digits, " +
			"signs, and blanks between them; none of them a line break or another control character")
	}
	return nil
}

// CheckNote returns an error that says the grammar if a token may not have the note.
func CheckNote(note string) error {
	if !isSeen(note) {
		return errors.New("a token's name has at most 255 characters on one line, each of which is seen as itself")
	}
	return nil
}

// isSeen reports whether s is short, and each of its characters is seen as itself. Of blanks, only that of ASCII is.
func isSeen(s string) bool {
	unseen := func(r rune) bool {
		return r == unicode.ReplacementChar || visible.Hidden(r) || unicode.Is(unicode.Zs, r) && r != ' '
	}
	return len(s) <= MaxNote && s == strings.TrimSpace(s) && !strings.ContainsFunc(s, unseen)
}
