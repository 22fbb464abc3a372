package signin

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestChallengesAreReadHoweverSloppy(t *testing.T) {
	for line, want := range map[string]string{
		`Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"`: "bearer realm=https://a/t service=s scope=repository:x:pull,push",
		`bearer realm=https://a/t, service = s`:                                 "bearer realm=https://a/t service=s",
		`Basic realm="a \"b\""`:                                                 `basic realm=a "b"`,
		`Bearer realm="https://a/v2/token",service="x",scope="*`:                "bearer realm=https://a/v2/token service=x scope=*",
		`Basic realm="r", Bearer realm="https://a/t"`:                           "basic realm=r / bearer realm=https://a/t",
		`Bearer realm="https://a/t" service="s"`:                                "bearer realm=https://a/t service=s",
		`,, Negotiate, NTLM`:                                                    "negotiate / ntlm",
		`realm="alone"`:                                                         "",
		`Bearer REALM="https://a/t",realm="https://b/t"`:                        "bearer realm=https://a/t",
	} {
		var got []string
		for _, c := range ParseChallenges(http.Header{"Www-Authenticate": {line}}) {
			s := c.Scheme
			for _, key := range []string{"realm", "service", "scope"} {
				if v := c.params[key]; v != "" {
					s += " " + key + "=" + v
				}
			}
			got = append(got, s)
		}
		if s := strings.Join(got, " / "); s != want {
			t.Errorf("%s is parsed as %q, want %q", line, s, want)
		}
	}
}

func TestATokensLifeIsClamped(t *testing.T) {
	now := time.Unix(1000, 0)
	jwt := "x.eyJleHAiOjE5MDB9.y" // exp is 1900
	for _, c := range []struct {
		value, expires string
		want           time.Duration
	}{
		{"t", "300", 300 * time.Second}, {"t", `"300"`, 300 * time.Second}, {"t", "", time.Minute}, {"t", "null", time.Minute},
		{"t", "0", 30 * time.Second}, {"t", "-5", 30 * time.Second}, {"t", "1e10", time.Hour}, {"t", "NaN", 30 * time.Second},
		{jwt, "", 900 * time.Second}, {jwt, "120", 120 * time.Second},
	} {
		if got := lifeOf(c.value, []byte(c.expires), now); got != c.want {
			t.Errorf("%s %s is %v, want %v", c.value, c.expires, got, c.want)
		}
	}
}

func FuzzChallenge(f *testing.F) {
	f.Add(`Bearer realm="https://a/t",service="s",scope="*`)
	f.Add(`Basic realm="r", Bearer realm=https://a/t`)
	f.Add(`a=,"\`)
	f.Fuzz(func(t *testing.T, s string) {
		for _, c := range parseChallenge(s) {
			if c.Scheme == "" || c.Scheme != strings.ToLower(c.Scheme) {
				t.Errorf("scheme %q", c.Scheme)
			}
		}
	})
}
