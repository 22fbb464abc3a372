package expression

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// ParseSubstitution reads "s/EXPRESSION/REPLACEMENT/", with any character in place of the slash. The replacement is one
// for Replace, in which $1 stands for the first group, whatever follows it.
func ParseSubstitution(s string) (match *regexp.Regexp, with string, err error) {
	if len(s) > MaxText {
		return nil, "", fmt.Errorf("it is longer than %d bytes", MaxText)
	}
	if len(s) < 4 || s[0] != 's' {
		return nil, "", ErrForm
	}
	parts := strings.Split(s[2:], s[1:2])
	if len(parts) != 3 || parts[2] != "" || parts[0] == "" {
		return nil, "", ErrForm
	}
	if match, err = Compile(parts[0]); err != nil {
		return nil, "", err
	}
	if sedGroup().MatchString(parts[1]) {
		return nil, "", errors.New("the replacement must name a group as $1, not \\1")
	}
	// ${1}, so that "v$1_x" means the first group and "_x", and not a group with the name "1_x"
	return match, group().ReplaceAllString(parts[1], "$${$1}"), nil
}

// ErrForm means that a text has not the form of a substitution.
var ErrForm = errors.New("not s/EXPRESSION/REPLACEMENT/")

var (
	sedGroup = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\\[0-9]`) })
	group    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\$([0-9]+)`) })
)

// Replace replaces every match of re in s by with, as [regexp.Regexp.ReplaceAllString] does. It stops, and reports
// false, when the result becomes longer than most bytes. A result that is not longer than s is always allowed.
func Replace(re *regexp.Regexp, s, with string, most int) (string, bool) {
	most = max(most, len(s))
	var out []byte
	end := 0
	for _, at := range re.FindAllStringSubmatchIndex(s, -1) {
		out = append(out, s[end:at[0]]...)
		for rest := with; rest != ""; {
			var part string
			part, rest = cutTemplate(rest)
			if out = re.ExpandString(out, part, s, at); len(out) > most {
				return "", false
			}
		}
		end = at[1]
	}
	if len(out)+len(s)-end > most {
		return "", false
	}
	return string(append(out, s[end:]...)), true
}

// cutTemplate splits a template after its first part: a text without "$", or a "$" with all up to the next one.
func cutTemplate(template string) (part, rest string) {
	from := 0
	if template[0] == '$' {
		from = min(2, len(template)) // "$$" stays together
	}
	end := strings.IndexByte(template[from:], '$')
	if end < 0 {
		return template, ""
	}
	return template[:from+end], template[from+end:]
}
