package credential

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
)

func jwt(claims string) string {
	e := base64.RawURLEncoding
	return e.EncodeToString([]byte(`{"alg":"none"}`)) + "." + e.EncodeToString([]byte(claims)) + ".c2ln"
}

func TestATokenWithoutUserIsKnownByItsClaims(t *testing.T) {
	entra := jwt(`{"iss":"https://sts.windows.net/tid/","tid":"tid"}`)
	for _, tt := range []struct {
		claims string
		want   Scheme
	}{
		{`{"iss":"https://sts.windows.net/tid/"}`, Exchange},
		{`{"iss":"https://login.microsoftonline.com/tid/v2.0"}`, Exchange},
		{`{"iss":"https://login.microsoftonline.us/tid/v2.0"}`, Exchange},
		{`{"iss":"https://login.partner.microsoftonline.cn/tid/v2.0"}`, Exchange},
		{`{"iss":"Azure Container Registry","grant_type":"refresh_token"}`, Refresh},
		{`{"iss":"Azure Container Registry","grant_type":"access_token","access":[{"type":"repository"}]}`, Bearer},
		{`{"iss":"gitlab-issuer","access":[]}`, Bearer},
	} {
		for _, user := range []string{"", TokenUser} {
			got, err := FromPassword(user, jwt(tt.claims)+"\r\n")
			if want := (Login{Scheme: tt.want, Password: New(jwt(tt.claims))}); got != want || err != nil {
				t.Errorf("%q %s: %v %v", user, tt.claims, got, err)
			}
		}
		got, err := FromPassword("robot", jwt(tt.claims))
		if got.Scheme != Basic || got.User != "robot" || err != nil {
			t.Errorf("with a user the login became %v %v", got, err)
		}
	}
	for _, printed := range []string{
		"{\n  \"accessToken\": \"" + entra + "\",\n  \"expiresOn\": \"2026-01-01\",\n  \"tokenType\": \"Bearer\"\n}\n",
		" " + entra + " \n",
	} {
		if got, err := FromPassword("", printed); got != (Login{Scheme: Exchange, Password: New(entra)}) || err != nil {
			t.Error(got, err)
		}
	}
}

func TestPayloadsInBase64URLAreRead(t *testing.T) {
	claims := `{"x":"ÿþ>>>???~~~","iss":"https://sts.windows.net/t/"}`
	token := jwt(claims)
	payload := strings.Split(token, ".")[1]
	if !strings.Contains(payload, "-") || !strings.Contains(payload, "_") {
		t.Fatal("the payload has no '-' and '_':", payload)
	}
	padded := strings.Replace(token, payload, base64.StdEncoding.EncodeToString([]byte(claims)), 1)
	for _, s := range []string{token, padded} {
		if got, err := FromPassword("", s); got.Scheme != Exchange || err != nil {
			t.Error(got, err)
		}
	}
}

func TestAPasswordWithoutUserThatIsNoTokenIsRefused(t *testing.T) {
	for _, tt := range []struct{ user, password, cause string }{
		{"", "canary-7f3a91", "password without user is not a token"},
		{"", "a.b.c", "password without user is not a token"},
		{"", jwt(`{"iss":"https://sts.windows.net.evil.example/"}`), "password without user is not a token"},
		{"", jwt(`{"iss":7}`), "password without user is not a token"},
		{"", jwt(`{"iss":"https://accounts.example"}`), "password without user is not a token"},
		{"", `{"token":"x"}`, "no accessToken in the JSON given as password"},
		{"", "\n", "no user and no password"},
		{"u", "\r\n", "the password is missing"},
		{"u", "\n\n", "the password is missing"},
		{"u:v", "p", "a user name cannot contain a colon"},
	} {
		_, err := FromPassword(tt.user, tt.password)
		if !fault.Is(err, fault.Invalid) || err.Error() != "read login: invalid: "+tt.cause || fault.HintOf(err) == "" {
			t.Errorf("%q: %v", tt, err)
		}
	}
	if got, err := FromPassword(TokenUser, "opaque"); got != (Login{User: TokenUser, Password: New("opaque")}) || err != nil {
		t.Error(got, err)
	}
}

// The key file of a Google service account is a password of many lines, some of them inside of its JSON.
func TestAPasswordKeepsItsLinesAndLosesOneLineEnd(t *testing.T) {
	key := "{\n  \"private_key\": \"-----BEGIN-----\\nabc\\n-----END-----\\n\"\r\n}"
	for given, want := range map[string]string{
		key: key, key + "\n": key, key + "\r\n": key, key + "\n\n": key + "\n", "\ufeff" + key: key, "p\r": "p\r"[:1], "\np": "\np",
	} {
		for name, read := range map[string]func() (Login, error){
			"FromPassword": func() (Login, error) { return FromPassword("_json_key", given) },
			"ParseCreds":   func() (Login, error) { return ParseCreds("_json_key:" + given) },
			"FromEnv": func() (Login, error) {
				vars := map[string]string{"P_USERNAME": "_json_key", "P_PASSWORD": given}
				l, _, err := FromEnv(func(k string) string { return vars[k] }, "P")
				l.From = ""
				return l, err
			},
		} {
			if got, err := read(); got != (Login{User: "_json_key", Password: New(want)}) || err != nil {
				t.Errorf("%s of %q: %q %v", name, given, got.Password.Reveal(), err)
			}
		}
	}
}

func FuzzFromPassword(f *testing.F) {
	f.Add("", jwt(`{"iss":"https://sts.windows.net/t/"}`))
	f.Add(TokenUser, jwt(`{"access":[]}`))
	f.Add("", `{"accessToken":"a.b.c"}`)
	f.Add("u", "p\n")
	f.Add(TokenUser, " ")
	f.Fuzz(func(t *testing.T, user, password string) {
		l, err := FromPassword(user, password)
		if err != nil {
			if !fault.Is(err, fault.Invalid) || l != (Login{}) {
				t.Fatal(l, err)
			}
			if len(password) > 30 && strings.Contains(fmt.Sprint(err, fault.HintOf(err)), password) {
				t.Fatal("the password is shown")
			}
			return
		}
		secret := l.Password.Reveal()
		if secret == "" || strings.ContainsAny(secret, "\r\n") && l.Scheme != Basic || (l.User == "") != (l.Scheme != Basic) {
			t.Fatalf("%q became %v", password, l)
		}
		if again, err := FromPassword(l.User, secret+"\r\n"); again != l || err != nil {
			t.Fatal("parsing the password again gives another login:", again, err)
		}
	})
}
