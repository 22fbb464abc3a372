package ref

import (
	"regexp"
	"strings"
	"testing"
)

// The grammar as regular expressions, in the form in which the specifications give it.
var (
	pathForm   = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagForm    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	domainForm = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*$`)
	digestForm = regexp.MustCompile(`^(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$`)
	driveForm  = regexp.MustCompile(`^[A-Za-z]:[\\/]`)
)

func sameForms(t *testing.T, s string) {
	t.Helper()
	for name, got := range map[string][2]bool{
		"path":   {isPath(s), pathForm.MatchString(s)},
		"tag":    {isTag(s), tagForm.MatchString(s)},
		"domain": {isDomain(s), domainForm.MatchString(s)},
		"digest": {isDigest(s), digestForm.MatchString(s)},
		"drive":  {isDrive(s), driveForm.MatchString(s)},
	} {
		if got[0] != got[1] {
			t.Errorf("%q as a %s: got %v, the regular expression says %v", s, name, got[0], got[1])
		}
	}
}

func TestFormsAreThoseOfTheGrammar(t *testing.T) {
	sameForms(t, "")
	// All words of up to six of the characters that the grammar distinguishes.
	letters := "aB0._-/:"
	for words, n := []string{""}, 0; n < 6; n++ {
		var longer []string
		for _, w := range words {
			for _, c := range letters {
				sameForms(t, w+string(c))
				longer = append(longer, w+string(c))
			}
		}
		words = longer
	}
	for _, s := range []string{"a\n", "ä", "C:\\x", "c:/", "1:/", strings.Repeat("a", 128), strings.Repeat("a", 129),
		"sha256:" + strings.Repeat("0", 64), "sha256:" + strings.Repeat("g", 64), "sha256:" + strings.Repeat("A", 64), "sha384:" + strings.Repeat("f", 96),
		"sha384:" + strings.Repeat("f", 64), "sha512:" + strings.Repeat("9", 128), "md5:" + strings.Repeat("0", 32), "sha256", "sha256:"} {
		sameForms(t, s)
	}
}

func FuzzForms(f *testing.F) {
	f.Add("library/nginx")
	f.Add("a__b--c.d")
	f.Fuzz(sameForms)
}
