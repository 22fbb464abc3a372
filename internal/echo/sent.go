package echo

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Removed stands in a text in place of what was cut out.
const Removed = "[what dray sent: removed]"

const (
	shortest = 4    // bytes of a secret that is looked for
	alone    = 8    // bytes from which a secret is found inside of a longer word
	piece    = 16   // bytes of a part of a secret that are cut out
	gram     = 8    // bytes that every piece has in common with the marks of its secret
	most     = 1024 // secrets that are remembered
)

// Sent remembers what was sent as a login. The zero value remembers nothing. It is safe for concurrent use.
type Sent struct {
	mu     sync.Mutex
	all    map[string]bool // the plain forms
	order  []string        // of all, the oldest first
	marks  map[string][]at // each gram of the long ones at a multiple of gram
	logins map[string]bool // what Header was given
}

// at is a place in a secret.
type at struct {
	secret string
	offset int
}

// Request remembers what a request has: its Authorization header, the login of the proxy that it goes through, and
// the secrets of its body. A nil Sent remembers nothing.
func (s *Sent) Request(header http.Header, proxy *url.URL, secrets []string) {
	if s == nil {
		return
	}
	s.Header(header.Get("Authorization"))
	if len(secrets) > 0 {
		s.Note(secrets...)
	}
	if proxy != nil && proxy.User != nil {
		password, _ := proxy.User.Password()
		s.Header("Basic " + base64.StdEncoding.EncodeToString([]byte(proxy.User.Username()+":"+password)))
	}
}

// Signatures returns the long values in the query of an address that a registry wrote: one of them lets whoever has
// it read or write.
func Signatures(at *url.URL) (long []string) {
	for _, values := range at.Query() {
		for _, v := range values {
			if len(v) >= piece {
				long = append(long, v)
			}
		}
	}
	return long
}

// Header remembers the value of an Authorization header: all of it, the token, and for Basic the user and the
// password (RFC 7617), the password alone, and both as other encoders write them. "" is ignored.
func (s *Sent) Header(value string) {
	s.mu.Lock()
	known := s.logins[value] || value == ""
	s.mu.Unlock()
	if known {
		return
	}
	scheme, token, _ := strings.Cut(value, " ")
	encoded := base64.StdEncoding.EncodeToString
	s.Note(value, token, encoded([]byte(value)), encoded([]byte(token)))
	if raw, err := base64.StdEncoding.DecodeString(token); err == nil && strings.EqualFold(scheme, "basic") {
		_, password, _ := strings.Cut(string(raw), ":")
		s.Note(string(raw), password, base64.URLEncoding.EncodeToString(raw), encoded([]byte(password)))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.logins) > most || s.logins == nil {
		s.logins = map[string]bool{}
	}
	s.logins[value] = true
}

// Note remembers secrets that were sent. One of less than four bytes is not looked for.
func (s *Sent) Note(secrets ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range secrets {
		s.note(rawOf(secret))
		s.note(plainOf(secret).text)
	}
}

// note remembers a plain form, and forgets the oldest for it. The caller holds the lock.
func (s *Sent) note(form string) {
	form = strings.TrimRight(form, "=") // base64 may be written without it
	if len(form) < shortest || s.all[form] {
		return
	}
	if s.all == nil {
		s.all, s.marks = map[string]bool{}, map[string][]at{}
	}
	if len(s.order) == most {
		s.forget(s.order[0])
		s.order = s.order[1:]
	}
	s.all[form] = true
	s.order = append(s.order, form)
	for i := 0; len(form) >= piece && i+gram <= len(form); i += gram {
		s.marks[form[i:i+gram]] = append(s.marks[form[i:i+gram]], at{form, i})
	}
}

func (s *Sent) forget(form string) {
	delete(s.all, form)
	clear(s.logins) // what it came from is remembered anew when it is sent again
	for i := 0; len(form) >= piece && i+gram <= len(form); i += gram {
		key := form[i : i+gram]
		left := slices.DeleteFunc(s.marks[key], func(a at) bool { return a.secret == form })
		if s.marks[key] = left; len(left) == 0 {
			delete(s.marks, key)
		}
	}
}

// span is a part of a plain text.
type span struct{ from, to int }

// Cut returns text without what was sent, and without the secrets in also: whole, or a part of at least 16
// letters, also if it is split by spaces or lines, or written with the escapes of URLs, JSON or HTML. A secret of
// less than 8 letters counts only as a word by itself. Where text was shortened, at "…", the beginning of a secret
// is cut out, too.
func (s *Sent) Cut(text string, also ...string) string {
	if s == nil {
		return text
	}
	if len(also) > 0 {
		extra := new(Sent)
		extra.Note(also...)
		text = extra.Cut(text)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 || len(text) < shortest {
		return text
	}
	p := plainOf(text)
	spans := s.pieces(p.text)
	for form := range s.all {
		if len(form) < piece {
			spans = append(spans, whole(text, p, form)...)
		}
	}
	if strings.Contains(text, "…") {
		spans = append(spans, s.ends(p.text)...)
	}
	return without(text, p, spans)
}

// pieces finds the parts of long secrets.
func (s *Sent) pieces(text string) (found []span) {
	next := 0
	for i := 0; i+gram <= len(text); i++ {
		if i < next {
			continue
		}
		for _, a := range s.marks[text[i:i+gram]] {
			from, to := i, i+gram
			for begin := a.offset; from > 0 && begin > 0 && text[from-1] == a.secret[begin-1]; begin-- {
				from--
			}
			for end := a.offset + gram; to < len(text) && end < len(a.secret) && text[to] == a.secret[end]; end++ {
				to++
			}
			if to-from >= piece {
				found, next = append(found, span{from, to}), max(next, to-gram+1)
			}
		}
	}
	return found
}

// whole finds a short secret.
func whole(text string, p plain, form string) (found []span) {
	for i := 0; ; {
		j := strings.Index(p.text[i:], form)
		if j < 0 {
			return found
		}
		from, to := i+j, i+j+len(form)
		if len(form) >= alone || isWord(text, p.from[from], p.to[to-1]) {
			found = append(found, span{from, to})
		}
		i = from + 1
	}
}

// isWord reports whether text[from:to] is between letters and digits on no side.
func isWord(text string, from, to int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:from])
	after, _ := utf8.DecodeRuneInString(text[to:])
	inWord := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	return !inWord(before) && !inWord(after)
}

// ends finds the beginnings of secrets before a "…".
func (s *Sent) ends(text string) (found []span) {
	for i := 0; ; {
		j := strings.Index(text[i:], "…")
		if j < 0 {
			return found
		}
		end := i + j
		for form := range s.all {
			for n := min(len(form), end); n >= shortest; n-- {
				if text[end-n:end] == form[:n] {
					found = append(found, span{end - n, end})
					break
				}
			}
		}
		i = end + len("…")
	}
}

// without returns text without the spans of its plain form.
func without(text string, p plain, spans []span) string {
	if len(spans) == 0 {
		return text
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	var b strings.Builder
	at := 0
	for _, s := range spans {
		from, to := p.from[s.from], p.to[s.to-1]
		if to <= at {
			continue
		}
		if from > at || at == 0 {
			b.WriteString(text[at:max(from, at)])
			b.WriteString(Removed)
		}
		at = to
	}
	b.WriteString(text[at:])
	return b.String()
}
