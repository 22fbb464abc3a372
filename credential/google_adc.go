package credential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
)

const (
	googleToken   = "https://oauth2.googleapis.com/token"
	jwtBearer     = "urn:ietf:params:oauth:grant-type:jwt-bearer"     // RFC 7523 §2.1
	tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange" // RFC 8693 §2.1
	accessToken   = "urn:ietf:params:oauth:token-type:access_token"   // RFC 8693 §3
	googleJSON    = "a JSON file of type authorized_user, service_account or external_account"
)

type google struct{ *machine }

// grant returns the Login for a token, or err.
func (g *google) grant(who string, t token, err error) found {
	if err != nil {
		return found{err: err}
	}
	return t.good(Login{User: googleUser, Password: New(t.value), From: who})
}

// adcPath returns the path of the application default credentials. named is true if a variable names the file; then
// the file must exist.
func (g *google) adcPath() (path string, named bool) {
	if p := g.env("GOOGLE_APPLICATION_CREDENTIALS"); p != "" {
		return p, true
	}
	const name = "application_default_credentials.json"
	switch dir := g.env("CLOUDSDK_CONFIG"); {
	case dir != "":
		return filepath.Join(dir, name), false
	case g.env("APPDATA") != "": // on Windows
		return filepath.Join(g.env("APPDATA"), "gcloud", name), false
	case g.Home != "":
		return filepath.Join(g.Home, ".config", "gcloud", name), false
	}
	return "", false
}

func badADC(path string, kind fault.Kind, err error) found {
	return found{err: &fault.Fault{Kind: kind, Op: "read google credentials", Name: path,
		Hint: "run gcloud auth application-default login", Err: err}}
}

const (
	googleUser  = "oauth2accesstoken"
	googleScope = "https://www.googleapis.com/auth/cloud-platform"
	googleMeta  = "169.254.169.254"
)

// adc is a file of application default credentials. Each type uses other fields.
type adc struct {
	Type string `json:"type"`

	ClientID     string `json:"client_id"` // authorized_user
	ClientSecret string `json:"client_secret"`
	Refresh      string `json:"refresh_token"`

	Email    string `json:"client_email"` // service_account
	Key      string `json:"private_key"`
	KeyID    string `json:"private_key_id"`
	TokenURI string `json:"token_uri"`

	Audience    string        `json:"audience"` // external_account
	SubjectType string        `json:"subject_token_type"`
	TokenURL    string        `json:"token_url"`
	Impersonate string        `json:"service_account_impersonation_url"`
	Source      subjectSource `json:"credential_source"`
}

// subjectSource says where the token of another identity provider is.
type subjectSource struct {
	File   string            `json:"file"`
	URL    string            `json:"url"`
	Header map[string]string `json:"headers"`
	Format struct {
		Type  string `json:"type"` // "text" or "json"; "" means text
		Field string `json:"subject_token_field_name"`
	} `json:"format"`
}

func (g *google) file(ctx context.Context) found {
	path, named := g.adcPath()
	if path == "" {
		return found{}
	}
	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return found{}
	}
	if err != nil {
		return badADC(path, fault.Denied, err)
	}
	var c adc
	if json.Unmarshal(data, &c) != nil { // the error of the decoder would quote the file
		return badADC(path, fault.Invalid, errors.New("not "+googleJSON))
	}
	switch c.Type {
	case "authorized_user":
		return g.person(ctx, c)
	case "service_account":
		return g.account(ctx, path, c)
	case "external_account":
		return g.external(ctx, path, c)
	}
	return badADC(path, fault.Invalid, fmt.Errorf("type %q is not supported, only %s", clean(c.Type, nil), googleJSON))
}

// person exchanges the refresh token that gcloud stores for a person.
func (g *google) person(ctx context.Context, c adc) found {
	fields := url.Values{
		"grant_type":    {"refresh_token"},
		"client_id":     {c.ClientID},
		"client_secret": {c.ClientSecret},
		"refresh_token": {c.Refresh},
	}
	q := form("google user of application default credentials", googleToken, fields, c.ClientSecret, c.Refresh)
	q.hint = "run gcloud auth application-default login"
	t, err := g.getToken(ctx, q)
	return g.grant(q.who, t, err)
}

// account uses a JWT that is signed with the key of a service account and is valid for an hour.
func (g *google) account(ctx context.Context, path string, c adc) found {
	key, err := rsaKey([]byte(c.Key))
	at := orElse(c.TokenURI, googleToken)
	if err == nil {
		err = googles(at)
	}
	if err != nil {
		return badADC(path, fault.Invalid, err)
	}
	now := time.Now()
	header := map[string]any{}
	if c.KeyID != "" {
		header["kid"] = c.KeyID
	}
	proof, err := signJWT(key, rs256, header, map[string]any{"iss": c.Email, "scope": googleScope, "aud": at,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix()})
	if err != nil {
		return badADC(path, fault.Internal, err)
	}
	q := form("google service account "+c.Email, at, url.Values{"grant_type": {jwtBearer}, "assertion": {proof}}, proof)
	t, err := g.getToken(ctx, q)
	return g.grant(q.who, t, err)
}

// external exchanges the token of another identity provider. If the file says so, it then exchanges the result for
// the token of a service account.
func (g *google) external(ctx context.Context, path string, c adc) found {
	who := "google workload identity " + c.Audience
	for _, at := range []string{c.TokenURL, orElse(c.Impersonate, c.TokenURL)} {
		if err := googles(at); err != nil {
			return badADC(path, fault.Invalid, err)
		}
	}
	subject, err := g.subject(ctx, who, path, c.Source)
	if err != nil {
		return found{err: err}
	}
	t, err := g.getToken(ctx, form(who, c.TokenURL, url.Values{
		"grant_type":           {tokenExchange},
		"audience":             {c.Audience},
		"scope":                {googleScope},
		"requested_token_type": {accessToken},
		"subject_token":        {subject},
		"subject_token_type":   {c.SubjectType},
	}, subject))
	if err != nil || c.Impersonate == "" {
		return g.grant(who, t, err)
	}
	body, err := json.Marshal(map[string][]string{"scope": {googleScope}})
	if err != nil {
		return badADC(path, fault.Internal, err)
	}
	q := question{who: who + " as service account", url: c.Impersonate, body: string(body), hide: []string{t.value},
		header: map[string]string{"Authorization": "Bearer " + t.value, "Content-Type": "application/json"}}
	var a struct {
		Token  string    `json:"accessToken"`
		Expire time.Time `json:"expireTime"`
	}
	if err := g.get(ctx, q, &a); err != nil {
		return found{err: err}
	}
	if t, err = q.token(tokenAnswer{Token: a.Token}); err == nil && !a.Expire.IsZero() {
		t.ends = a.Expire
	}
	return g.grant(q.who, t, err)
}

// subject reads the token of the other identity provider from the place that the file names.
func (g *google) subject(ctx context.Context, who, path string, s subjectSource) (string, error) {
	q := question{who: who + ": subject token"}
	var text string
	var err error
	switch {
	case s.File != "":
		text, err = secretFile(who, s.File)
	case s.URL != "":
		q.url, q.header = s.URL, s.Header
		for _, v := range s.Header {
			q.hide = append(q.hide, v, strings.TrimPrefix(v, "Bearer "))
		}
		var r reply
		if r, err = g.ask(ctx, q); err == nil && r.status != http.StatusOK {
			err = q.refused(r)
		}
		text = strings.TrimSpace(string(r.body))
	default:
		return "", badADC(path, fault.Invalid, errors.New("credential_source has neither file nor url")).err
	}
	if err != nil {
		return "", err
	}
	if s.Format.Type == "json" {
		var fields map[string]json.RawMessage
		var token string
		if json.Unmarshal([]byte(text), &fields) != nil || json.Unmarshal(fields[s.Format.Field], &token) != nil {
			return "", q.fail(fault.Denied, errors.New("no field "+s.Format.Field+" in its JSON"))
		}
		text = token
	}
	if text == "" {
		return "", q.fail(fault.Denied, errors.New("its answer contains no token"))
	}
	return text, nil
}

// googles checks that raw is an endpoint of Google, so that a forged file cannot send a secret to another host.
func googles(raw string) error {
	u, err := endpoint(raw)
	if err != nil {
		return err
	}
	if h := u.Host; u.Scheme != "https" || !strings.HasSuffix(h, ".googleapis.com") && h != "accounts.google.com" {
		return errors.New("it contains an endpoint that is not one of Google: " + clean(h, nil))
	}
	return nil
}
