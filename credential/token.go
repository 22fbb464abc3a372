package credential

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	"github.com/drayage/dray/fault"
)

// TokenUser is the user name with which Azure container registries accept a token as the password.
const TokenUser = "00000000-0000-0000-0000-000000000000"

// ErrNoPassword is the cause of the [fault.Invalid] error for a user without a password. A command that has a
// terminal can then ask for the password.
var ErrNoPassword = errors.New("the password is missing")

var (
	errNotToken  = errors.New("password without user is not a token")
	errNoAccess  = errors.New("no accessToken in the JSON given as password")
	errNoSecret  = errors.New("no user and no password")
	errColonUser = errors.New("a user name cannot contain a colon")
)

// entraIssuers are the hosts that sign Entra access tokens in all clouds of Azure.
var entraIssuers = map[string]bool{
	"sts.windows.net": true, "login.windows.net": true,
	"login.microsoftonline.com": true, "login.microsoft.com": true,
	"login.microsoftonline.us":         true,
	"login.partner.microsoftonline.cn": true, "login.chinacloudapi.cn": true, "sts.chinacloudapi.cn": true,
}

// FromPassword returns the Login for a user and a password as people type them. It removes one line end after the
// password, which editors and echo add, and a byte order mark before it. The password may have several lines, as
// the key file of a Google service account has.
//
// With a user the Login is [Basic]. Without a user, or with [TokenUser], the password decides. A Microsoft
// Entra token becomes [Exchange], a refresh token of Azure Container Registry becomes [Refresh], and a JWT with
// rights for a registry (the claim "access") becomes [Bearer]. The token can also be inside the JSON that
// `az account get-access-token` prints. FromPassword does not verify signatures, because the registry does.
//
// The error is [fault.Invalid] and contains no part of the password: there is a user but no password (the cause
// is [ErrNoPassword]), or there is no user and the password is not such a token. The From of the Login is
// empty.
func FromPassword(user, password string) (Login, error) {
	password = strings.TrimPrefix(password, "\ufeff")
	password = strings.TrimSuffix(strings.TrimSuffix(password, "\n"), "\r")
	none := strings.Trim(password, "\r\n") == ""
	switch {
	case user == "" && none:
		return Login{}, badLogin(errNoSecret, "pass a user and a password, or a token as the password")
	case none:
		return Login{}, badLogin(ErrNoPassword, "write USER:PASSWORD, or pass the password separately")
	case strings.Contains(user, ":"):
		// RFC 7617 §2: a user name of the Basic scheme cannot contain a colon.
		return Login{}, badLogin(errColonUser, "pass the password separately")
	case user != "" && user != TokenUser:
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
	return Login{}, badLogin(errNotToken,
		"pass the user too; a password without a user must be an Entra access token or an ACR token")
}

// ParseCreds reads "USER:PASS", separated at the first colon. ":TOKEN" is a token without a user. The errors are
// those of [FromPassword]; for "USER" alone, the cause is [ErrNoPassword].
func ParseCreds(s string) (Login, error) {
	user, password, _ := strings.Cut(s, ":")
	return FromPassword(user, password)
}

// FromEnv reads a login from environment variables: PREFIX_CREDS ("USER:PASS"), or PREFIX_USERNAME and
// PREFIX_PASSWORD. A password without a user is a token. prefix is "DRAY_SRC", for example. An empty variable
// counts as not set; ok is false if none is set. The error is [fault.Invalid] and names the variable.
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

// unwrapToken returns the accessToken in the JSON that the az command prints. It returns any other text without
// the spaces around it.
func unwrapToken(s string) (string, error) {
	if !strings.HasPrefix(strings.TrimSpace(s), "{") {
		return strings.TrimSpace(s), nil
	}
	var doc struct {
		AccessToken string `json:"accessToken"`
	}
	// The error of the decoder would quote the text, so it is not returned.
	if json.Unmarshal([]byte(s), &doc) != nil || len(strings.Split(doc.AccessToken, ".")) != 3 {
		return "", badLogin(errNoAccess, "pass the complete output of `az account get-access-token`, or only the token")
	}
	return doc.AccessToken, nil
}

// tokenScheme returns the Scheme for the claims of a JWT (RFC 7519 §3). It returns false if s is not a JWT, or not
// one that a registry accepts.
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
		return Bearer, true // as in distribution's token specification; ACR issues such tokens too
	case err == nil && entraIssuers[strings.ToLower(issuer.Host)]:
		return Exchange, true
	}
	return "", false
}

// decodeSegment decodes base64url (RFC 7515 §2). It accepts padding and the standard alphabet, because some issuers
// use them.
func decodeSegment(s string) ([]byte, error) {
	s = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(s, "="))
	return base64.RawURLEncoding.DecodeString(s)
}

// badLogin returns an error that does not name the user, because someone may have typed the token there.
func badLogin(cause error, hint string) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "read login", Hint: hint, Err: cause}
}
