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

// sessionHeader is the head of every JWT that Issue makes: {"alg":"HS256","typ":"JWT"}.
const sessionHeader = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

// MaxSession bounds what Issue makes.
const MaxSession = 3 * time.Hour

// session is what a JWT of ours says, beside what its Issue was told to add.
type session struct {
	Issuer  string `json:"iss"`
	Name    string `json:"sub"`
	Role    Role   `json:"dray_role"`
	Via     Via    `json:"dray_via"`
	Token   string `json:"dray_token,omitempty"` // has to be alive
	Hash    string `json:"dray_hash,omitempty"`  // of the user's line in the htpasswd file, which has to be there
	Begins  int64  `json:"nbf"`
	Issued  int64  `json:"iat"`
	Expires int64  `json:"exp"`
}

const sessionIssuer = "dray"

// Issue makes a token of a short life in p's name, a JWT that Authenticate takes as it takes
// p's own credentials: what clouds' and registries' clients trade a secret for. claims are
// added for those who read it; the ones that dray relies on can not be changed. It ends with
// the API token, or the password, that it came from, at the latest after life (at most MaxSession).
func (a *Access) Issue(p Principal, life time.Duration, claims map[string]any) (text string, ends time.Time, err error) {
	now := a.now()
	ends = now.Add(min(life, MaxSession)).Truncate(time.Second)
	if !p.until.IsZero() && p.until.Before(ends) {
		ends = p.until.UTC().Truncate(time.Second)
	}
	raw, err := json.Marshal(session{sessionIssuer, p.Name, p.Role, p.Via, p.Token, a.lineHash(p), now.Unix(), now.Unix(), ends.Unix()})
	all := map[string]any{}
	if err == nil {
		ours := map[string]any{}
		err = json.Unmarshal(raw, &ours)
		maps.Copy(all, claims)
		if err == nil {
			maps.Copy(all, ours)
			// An issuer may be what a client tells a token's kind by; Authenticate does not read it.
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

// lineHash tells one line of the htpasswd file from its successors; "" for who is not in it.
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

// bySession verifies a JWT of ours. Any key of the vault may have signed it.
func (a *Access) bySession(ctx context.Context, text string) (Principal, error) {
	bad := denied("the token is not one of this server", "log in again")
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
			// It was nobody's: once somebody is configured it is nothing.
			return Principal{}, denied("nobody is Local here any more", "log in again")
		}
		p := Principal{Name: s.Name, Role: s.Role, Via: s.Via}
		switch s.Via {
		case ViaHtpasswd:
			if s.Hash == "" || s.Hash != a.lineHash(p) {
				return Principal{}, denied("the user is gone, or has another password", "log in again")
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
	t, err := scanToken(a.db.QueryRowContext(ctx, `SELECT `+tokenColumns+` FROM access_tokens WHERE id = $1`, s.Token).Scan)
	if err != nil {
		if err = dbFault("look up", "token "+s.Token, err); fault.Is(err, fault.NotFound) {
			return Principal{}, bad
		}
		return Principal{}, err
	}
	return a.alive(ctx, t)
}

// sign computes the signature of body with key number n; signed tells whether any key made it.
func (v *Vault) sign(n int, body string) []byte {
	mac := hmac.New(sha256.New, v.keys[n].signing[:])
	mac.Write([]byte(body))
	return mac.Sum(nil)
}

func (v *Vault) signed(body string, mac []byte) bool {
	for n := range v.keys {
		if hmac.Equal(v.sign(n, body), mac) {
			return true
		}
	}
	return false
}
