package echo_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/echo"
)

const (
	user     = "robot$ci"
	password = `hunter/2<"%41>tiger`
	token    = "eyJhbGciOiJSUzI1NiJ9.eyJjYW5hcnkiOiI3ZjNhOTEifQ.c2lnbmF0dXJlIG9mIHRoZSBjYW5hcnk"
)

func sent() *echo.Sent {
	s := new(echo.Sent)
	s.Header("Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
	s.Header("Bearer " + token)
	return s
}

func TestWhatWasSentIsCutInEachForm(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	var escaped strings.Builder
	for _, c := range token {
		fmt.Fprintf(&escaped, `\u%04x`, c)
	}
	lines := ""
	for i, c := range token {
		if lines += string(c); i%10 == 9 {
			lines += "\r\n "
		}
	}
	for name, form := range map[string]string{
		"a header":              "Authorization: Basic " + basic,
		"a token":               token,
		"the login":             user + ":" + password,
		"the password":          password,
		"quoted":                fmt.Sprintf("%q", password),
		"in JSON":               `{"detail":"` + strings.ReplaceAll(password, "/", `\/`) + `"}`,
		"in JSON, all escaped":  escaped.String(),
		"in a URL":              "https://x.example/?t=" + url.QueryEscape(user+":"+password),
		"in the path of a URL":  "https://x.example/" + url.PathEscape(password),
		"in HTML":               "<p>" + html.EscapeString(password) + "</p>",
		"for URLs":              base64.URLEncoding.EncodeToString([]byte(user + ":" + password)),
		"without padding":       strings.TrimRight(basic, "="),
		"base64 of a password":  base64.StdEncoding.EncodeToString([]byte(password)),
		"the first half":        basic[:len(basic)/2],
		"the second half":       basic[len(basic)/2:],
		"a part of a token":     token[30:50],
		"in lines":              lines,
		"in upper case":         strings.ToUpper(token),
		"twice":                 token + token,
		"two secrets":           token + password,
		"a text that was cut":   "bad login " + password[:9] + "…",
		"a token that was cut":  "bad token " + token[:40] + "…; see the log",
		"a short piece, cut":    "bad token " + token[:5] + "…",
		"a proxy with a header": "400 " + strings.Repeat("x", 5000) + " Bearer " + token + strings.Repeat("y", 5000),
	} {
		got := sent().Cut(form)
		if !strings.Contains(got, echo.Removed) {
			t.Errorf("%s: %s", name, got)
		}
		for _, s := range []string{basic, token, password, lines} {
			for i := 0; i+16 <= len(s); i++ {
				if strings.Contains(got, s[i:i+16]) {
					t.Errorf("%s: %q has %q", name, got, s[i:i+16])
				}
			}
		}
	}
}

func TestOtherTextStays(t *testing.T) {
	s := sent()
	s.Header("Basic " + base64.StdEncoding.EncodeToString([]byte("ci:test")))
	s.Header("Basic " + base64.StdEncoding.EncodeToString([]byte("ci:abc")))
	for in, want := range map[string]string{
		"":                                      "",
		"no such repository latest/contest":     "no such repository latest/contest",
		"abc":                                   "abc",
		"100 % of \\ and &amp; & %zz":           "100 % of \\ and &amp; & %zz",
		token[:12] + " is the head of each JWT": token[:12] + " is the head of each JWT",
		"the password test is wrong":            "the password " + echo.Removed + " is wrong",
		"größer … als":                          "größer … als",
	} {
		if got := s.Cut(in); got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
	if got := new(echo.Sent).Cut("sig=0123456789abcdef!", "0123456789abcdef"); got != "sig="+echo.Removed+"!" {
		t.Error(got)
	}
}

func TestTheNewestSecretsAreRemembered(t *testing.T) {
	s := new(echo.Sent)
	for i := range 5000 {
		s.Header(fmt.Sprintf("Bearer secret-number-%05d-of-many", i))
	}
	if got := s.Cut("secret-number-04999-of-many"); got != echo.Removed {
		t.Error(got)
	}
	s.Header("Bearer secret-number-00000-of-many") // it was forgotten, and is sent again
	if got := s.Cut("secret-number-00000-of-many"); got != echo.Removed {
		t.Error(got)
	}
}

type marked struct{ error }

func (m marked) Unwrap() error { return m.error }

func TestAnErrorKeepsItsKindAndItsMarks(t *testing.T) {
	cause := errors.New("answer " + token)
	err := error(&fault.Fault{Kind: fault.Denied, Op: "read", Name: "a.io/x", Hint: "ask about " + token,
		Err: marked{fmt.Errorf("%w; the login is x", &fault.Fault{Kind: fault.Refused, Err: cause})}})
	got := sent().Error(err)
	for e := got; e != nil; {
		if strings.Contains(e.Error(), token[:20]) {
			t.Errorf("%T: %v", e, e)
		}
		inner, ok := errors.AsType[*fault.Fault](e)
		if !ok {
			break
		}
		if strings.Contains(inner.Err.Error()+inner.Hint, token[:20]) {
			t.Errorf("%v", inner.Err)
		}
		e = inner.Err
	}
	if _, is := errors.AsType[marked](got); !is || !errors.Is(got, cause) || fault.KindOf(got) != fault.Denied {
		t.Errorf("%v", got)
	}
	if other := errors.New("x"); sent().Error(other) != other { //nolint:errorlint // the very same
		t.Error("another error changed")
	}
}

func FuzzCut(f *testing.F) {
	f.Add(`{"a":"\u0065yJhbGciOiJSUzI1NiJ9.eyJjYW5hcnkiOiI3ZjNhOTEifQ"}`)
	f.Add("%65yJhbGciOiJSUzI1NiJ9 … &#x68;unter")
	s := sent()
	f.Fuzz(func(t *testing.T, text string) {
		got := s.Cut(text)
		if again := s.Cut(got); strings.Contains(again, echo.Removed) != strings.Contains(got, echo.Removed) {
			t.Errorf("%q became %q and then %q", text, got, again)
		}
	})
}
