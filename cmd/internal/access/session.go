package access

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
)

// sessionHeader is the header of every JWT that Issue makes: {"alg":"HS256","typ":"JWT"}.
const sessionHeader = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

// MaxSession is the longest life of a token of Issue.
const MaxSession = 3 * time.Hour

// session holds the claims of a JWT that dray relies on. Issue may add other claims.
type session struct {
	Issuer  string `json:"iss"`
	Name    string `json:"sub"`
	Role    Role   `json:"dray_role"`
	Via     Via    `json:"dray_via"`
	Token   string `json:"dray_token,omitempty"` // the id of the API token, which must still be valid
	Hash    string `json:"dray_hash,omitempty"`  // see lineHash: the user's line must still be in the htpasswd file
	Begins  int64  `json:"nbf"`
	Issued  int64  `json:"iat"`
	Expires int64  `json:"exp"`
}

const sessionIssuer = "dray"

// Issue returns a short-lived token of p. It is a JWT that Authenticate accepts like p's own
// credentials; clients of clouds and registries exchange a secret for it. claims are added for
// clients that read them, but cannot replace the claims that dray relies on, except "iss". The token
// ends with the API token, the password or the certificate that p showed, and at the latest after
// life, which is at most MaxSession.
func (a *Access) Issue(
	p Principal, life time.Duration, claims map[string]any,
) (text string, ends time.Time, err error) {
	now := a.now()
	ends = now.Add(min(life, MaxSession)).Truncate(time.Second)
	if !p.until.IsZero() && p.until.Before(ends) {
		ends = p.until.UTC().Truncate(time.Second)
	}
	raw, err := json.Marshal(session{
		sessionIssuer, p.Name, p.Role, p.Via, p.Token, a.lineHash(p), now.Unix(), now.Unix(), ends.Unix(),
	})
	all := map[string]any{}
	if err == nil {
		ours := map[string]any{}
		err = json.Unmarshal(raw, &ours)
		maps.Copy(all, claims)
		if err == nil {
			maps.Copy(all, ours)
			// A client may recognize the kind of a token by its issuer. Authenticate does not read it.
			if issuer, ok := claims["iss"]; ok {
				all["iss"] = issuer
			}
			raw, err = json.Marshal(all)
		}
	}
	if err != nil {
		return "", time.Time{}, &fault.Fault{Kind: fault.Internal, Op: "issue token", Err: err}
	}
	body := sessionHeader + "." + base64.RawURLEncoding.EncodeToString(raw)
	return body + "." + base64.RawURLEncoding.EncodeToString(a.vault.sign(0, body)), ends, nil
}

// lineHash returns a hash of p's line in the htpasswd file, or "" if p has no line. It changes when
// the password is set again.
func (a *Access) lineHash(p Principal) string {
	if p.Via != ViaHtpasswd || a.users == nil {
		return ""
	}
	users, err := a.users.current()
	hash, known := users[p.Name]
	if err != nil || !known {
		return ""
	}
	sum := sha256.Sum256(hash)
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// bySession returns the principal of a JWT of Issue. Any key of the vault may have signed it.
func (a *Access) bySession(ctx context.Context, text string) (Principal, error) {
	bad := denied("the token is not from this server", "log in again")
	cut := strings.LastIndexByte(text, '.')
	body, sum := text[:cut], text[cut+1:]
	mac, err := base64.RawURLEncoding.Strict().DecodeString(sum)
	if err != nil || !a.vault.signed(body, mac) {
		return Principal{}, bad
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimPrefix(body, sessionHeader+"."))
	var s session
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil {
		return Principal{}, bad
	}
	now := a.now().Unix()
	if now >= s.Expires || now < s.Begins-60 || !s.Role.Known() || s.Name == "" {
		return Principal{}, denied("the token has expired", "log in again")
	}
	if s.Token == "" {
		if s.Via == ViaLoopback {
			// A session of Local grants nothing. As long as Local has access, Authenticate accepts a
			// request from this machine before it reads the session.
			return Principal{}, denied("the principal local has no access any more", "log in again")
		}
		p := Principal{Name: s.Name, Role: s.Role, Via: s.Via}
		switch s.Via {
		case ViaHtpasswd:
			if s.Hash == "" || s.Hash != a.lineHash(p) {
				return Principal{}, denied("the user no longer exists or has another password", "log in again")
			}
			p.Role = a.roleOf(p.Name)
		case ViaCertificate:
			if a.ca == nil {
				return Principal{}, bad
			}
			p.Role, p.until = a.roleOf(p.Name), time.Unix(s.Expires, 0)
		case ViaNothing:
			if !a.grantsAnonymous() {
				return Principal{}, bad
			}
		}
		return p, nil
	}
	row := a.db.QueryRowContext(ctx, `SELECT `+tokenColumns+` FROM access_tokens WHERE id = $1`, s.Token)
	t, err := scanToken(row.Scan)
	if err != nil {
		if err = dbFault("look up", "token "+s.Token, err); fault.Is(err, fault.NotFound) {
			return Principal{}, bad
		}
		return Principal{}, err
	}
	return a.alive(ctx, t)
}

// sign returns the signature of body with key number n.
func (v *Vault) sign(n int, body string) []byte {
	mac := hmac.New(sha256.New, v.keys[n].signing[:])
	mac.Write([]byte(body))
	return mac.Sum(nil)
}

// signed reports whether mac is the signature of body with any key.
func (v *Vault) signed(body string, mac []byte) bool {
	for n := range v.keys {
		if hmac.Equal(v.sign(n, body), mac) {
			return true
		}
	}
	return false
}
