// Package redact takes secrets out of the text of the audit log. It knows the forms of secrets; package echo, which
// cleans the errors of registries, knows what was sent.
package redact

import (
	"regexp"
	"strings"
	"sync"
)

// secretForms matches text that must not be in a log that is kept forever and shown to auditors:
// Azure subscription and resource IDs, logins in URLs, dray's own tokens, and JWTs. It does not match
// names of images, although they contain colons and '@' too.
var secretForms = sync.OnceValue(func() []*regexp.Regexp {
	return []*regexp.Regexp{
		regexp.MustCompile(`(?i)/?subscriptions/[^\s"']*`),
		regexp.MustCompile(`//[^\s/@]*@`),
		regexp.MustCompile(`dray_[a-z2-7]{10}_[a-z2-7]+`),
		regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`),
	}
})

const maxField = 2048 // the longest field, in bytes

// Text returns s without secrets and cut to maxField.
func Text(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd") // PostgreSQL accepts neither
	for _, form := range secretForms() {
		s = form.ReplaceAllString(s, "[left out]")
	}
	if len(s) > maxField {
		s = strings.ToValidUTF8(s[:maxField], "")
	}
	return s
}
