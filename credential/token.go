package credential

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	"github.com/drayage/dray/fault"
)

// TokenUser is the user under which Azure's registries take a token as a password.
const TokenUser = "00000000-0000-0000-0000-000000000000"

// ErrNoPassword is the cause of the Invalid fault for a user without a password, so that a
// command line with a terminal can ask for it.
var ErrNoPassword = errors.New("user without password")

var (
	errNotToken   = errors.New("password without user is not a token")
	errNoAccess   = errors.New("no accessToken in the JSON given as password")
	errNoSecret   = errors.New("neither user nor password")
	errColonUser  = errors.New("a user name has no colon")
	errLineInside = errors.New("password has a line break in it")
)

// entraIssuers are the hosts that sign Entra access tokens, in all of Azure's clouds.
var entraIssuers = map[string]bool{
	"sts.windows.net": true, "login.windows.net": true,
	"login.microsoftonline.com": true, "login.microsoft.com": true,
	"login.microsoftonline.us":         true,
	"login.partner.microsoftonline.cn": true, "login.chinacloudapi.cn": true, "sts.chinacloudapi.cn": true,
}

// FromPassword makes a Login of what people type. A line end after the password is dropped.
//
// With a user it is a Basic login. Without one, or with TokenUser, the password is looked at:
// an Entra token becomes Exchange, an ACR refresh token Refresh, a JWT that carries registry
// rights (claim "access") Bearer; each also inside the JSON that `az account get-access-token`
// prints. Signatures are never verified: the registry does that.
//
// Errors are Invalid and hold no part of the password: a user without a password (the cause is
// ErrNoPassword), or no user and a password that is none of these tokens. From is left empty.
func FromPassword(user, password string) (Login, error) {
	password = strings.TrimRight(password, "\r\n")
	switch {
	case user == "" && password == "":
		return Login{}, badLogin(errNoSecret, "give a user and a password, or a token as password")
	case password == "":
		return Login{}, badLogin(ErrNoPassword, "provide the password")
	case strings.Contains(user, ":"):
		// RFC 7617 §2: Basic cannot carry it.
		return Login{}, badLogin(errColonUser, "give the password by itself")
	case user != "" && user != TokenUser:
		if strings.ContainsAny(password, "\r\n") {
			return Login{}, badLogin(errLineInside, "give one line")
		}
		return Login{User: user, Password: New(password)}, nil
	}
	token, err := unwrapToken(password)
	if err != nil {
		return Login{}, err
	}
	if s, ok := tokenScheme(token); ok {
		return Login{Scheme: s, Password: New(token)}, nil
	}
	if user == TokenUser && token == strings.TrimSpace(password) && !strings.ContainsAny(password, "\r\n") {
		return Login{User: user, Password: New(password)}, nil
	}
	return Login{}, badLogin(errNotToken, "give the user too; alone it must be an Entra access token or an ACR token")
}

// ParseCreds reads "USER:PASS"; the first colon parts them, ":TOKEN" is a token without a user.
// Errors are Invalid and those of FromPassword: "USER" alone has the cause ErrNoPassword.
func ParseCreds(s string) (Login, error) {
	user, password, _ := strings.Cut(s, ":")
	return FromPassword(user, password)
}

// FromEnv reads PREFIX_CREDS ("USER:PASS"), or PREFIX_USERNAME and PREFIX_PASSWORD, where a password
// alone is a token; prefix is for example "DRAY_SRC". An empty variable counts as unset and
// ok=false says that none is set. Errors are Invalid and name the variable.
func FromEnv(getenv func(string) string, prefix string) (l Login, ok bool, err error) {
	creds, user, password := prefix+"_CREDS", prefix+"_USERNAME", prefix+"_PASSWORD"
	c, u, p := getenv(creds), getenv(user), getenv(password)
	name := creds
	switch {
	case c != "" && (u != "" || p != ""):
		return Login{}, false, &fault.Fault{Kind: fault.Invalid, Op: "read", Name: "env " + creds,
			Hint: "unset one of them", Err: errors.New(user + " or " + password + " is set as well")}
	case c != "":
		l, err = ParseCreds(c)
	case u != "" || p != "":
		l, err = FromPassword(u, p)
		name = user
		if u == "" {
			name = password
		}
	default:
		return Login{}, false, nil
	}
	if err != nil {
		return Login{}, false, &fault.Fault{Kind: fault.Invalid, Op: "read", Name: "env " + name, Err: err}
	}
	l.From = "env " + name
	return l, true, nil
}

// unwrapToken takes accessToken out of the JSON that the az command prints; any other text is returned as it is.
func unwrapToken(s string) (string, error) {
	if !strings.HasPrefix(strings.TrimSpace(s), "{") {
		return strings.TrimSpace(s), nil
	}
	var doc struct {
		AccessToken string `json:"accessToken"`
	}
	// The decoder's own error would quote the text: it is not passed on.
	if json.Unmarshal([]byte(s), &doc) != nil || len(strings.Split(doc.AccessToken, ".")) != 3 {
		return "", badLogin(errNoAccess, "give the output of `az account get-access-token` whole, or the token alone")
	}
	return doc.AccessToken, nil
}

// tokenScheme reads the claims of a JWT (RFC 7519 §3); ok=false when s is none, or none that a registry takes.
func tokenScheme(s string) (Scheme, bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || parts[0] == "" || strings.ContainsAny(s, " \t\r\n") {
		return "", false
	}
	payload, err := decodeSegment(parts[1])
	if err != nil {
		return "", false
	}
	var claims struct {
		Issuer string          `json:"iss"`
		Grant  string          `json:"grant_type"`
		Access json.RawMessage `json:"access"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return "", false
	}
	issuer, err := url.Parse(claims.Issuer)
	switch {
	case claims.Grant == "refresh_token":
		return Refresh, true
	case len(claims.Access) > 0 && claims.Access[0] == '[':
		return Bearer, true // distribution's token specification; also what ACR issues
	case err == nil && entraIssuers[strings.ToLower(issuer.Host)]:
		return Exchange, true
	}
	return "", false
}

// decodeSegment reads base64url (RFC 7515 §2); padding and the plain alphabet are let pass, as some issuers write them.
func decodeSegment(s string) ([]byte, error) {
	s = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(s, "="))
	return base64.RawURLEncoding.DecodeString(s)
}

// badLogin names not even the user: a token in the wrong place would stand there.
func badLogin(cause error, hint string) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "read login", Hint: hint, Err: cause}
}
