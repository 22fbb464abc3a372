package arm

import (
	"cmp"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/acr"
	"github.com/drayage/dray/fault"
)

// How long the issued tokens are valid. `docker login` stores a refresh token.
const (
	accessLife  = time.Hour
	refreshLife = access.MaxSession
)

// metadata answers `az cloud register`, which knows only the address of the resource manager, with the
// other endpoints. The form of the answer has changed with the api-version: until 2018 the endpoints of one
// cloud, then a list of clouds, and from 2022 on one cloud again.
func (h *handler) metadata(w http.ResponseWriter, r *http.Request, path []string) {
	if r.Method != http.MethodGet || !is(path, "metadata", "endpoints") {
		notFound(w, r)
		return
	}
	base := h.base(r)
	// The path /adfs makes az treat the server as Active Directory Federation Services. For these,
	// az does not ask Microsoft's servers whether the authority exists.
	signIn := map[string]any{
		"loginEndpoint": base + "/adfs", "audiences": []string{base + "/"},
		"tenant": "adfs", "identityProvider": "ADFS",
	}
	switch version := r.URL.Query().Get("api-version"); {
	case version >= "2019-05-01":
		cloud := map[string]any{
			"name": cloudName, "authentication": signIn, "suffixes": map[string]string{"acrLoginServer": h.suffix()},
			"resourceManager": base + "/", "portal": base + "/", "gallery": base + "/",
			"graphAudience": base + "/", "graph": base + "/", "microsoftGraphResourceId": base + "/",
		}
		if version < "2022-09-01" {
			answer(w, http.StatusOK, []any{cloud})
			return
		}
		answer(w, http.StatusOK, cloud)
	default:
		answer(w, http.StatusOK, map[string]any{
			"galleryEndpoint": base + "/", "graphEndpoint": base + "/", "portalEndpoint": base + "/", "authentication": signIn,
		})
	}
}

// cloudName is the name of the cloud that a server is.
const cloudName = "dray"

// suffix returns the suffix of login servers, without the dot before it.
func (h *handler) suffix() string { return cmp.Or(h.Suffix, "azurecr.io") }

// authority is a minimal OpenID provider. It exchanges the secret of a service principal for an access
// token; the secret is a token of dray or a user's password.
func (h *handler) authority(w http.ResponseWriter, r *http.Request, path []string) {
	tenant, rest := path[0], path[1:]
	if len(rest) > 1 && !ownPath(rest[0]) && ownPath(rest[1]) {
		rest = rest[1:] // with "--tenant adfs", az appends the tenant to the authority's path: /adfs/adfs/…
	}
	issuer := h.base(r) + "/" + tenant
	discovery := is(rest, ".well-known", "openid-configuration") ||
		is(rest, "v2.0", ".well-known", "openid-configuration")
	switch {
	case r.Method == http.MethodGet && discovery:
		token := issuer + "/oauth2/token"
		if rest[0] == "v2.0" {
			token = issuer + "/oauth2/v2.0/token"
		}
		answer(w, http.StatusOK, map[string]any{
			"issuer":                                issuer,
			"authorization_endpoint":                issuer + "/oauth2/authorize",
			"token_endpoint":                        token,
			"jwks_uri":                              issuer + "/discovery/keys",
			"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic"},
			"response_types_supported":              []string{"code"},
			"subject_types_supported":               []string{"public"},
			"id_token_signing_alg_values_supported": []string{"RS256"},
		})
	case r.Method == http.MethodGet && is(rest, "discovery", "keys"):
		answer(w, http.StatusOK, map[string]any{"keys": []any{}}) // only this server can verify its tokens
	case r.Method == http.MethodPost && (is(rest, "oauth2", "token") || is(rest, "oauth2", "v2.0", "token")):
		h.clientCredentials(w, r, issuer)
	default:
		notFound(w, r)
	}
}

// ownPath reports whether a path of the OpenID provider may begin with segment.
func ownPath(segment string) bool {
	return slices.Contains([]string{".well-known", "v2.0", "oauth2", "discovery"}, strings.ToLower(segment))
}

// clientCredentials answers a client credentials grant: RFC 6749 §4.4.
func (h *handler) clientCredentials(w http.ResponseWriter, r *http.Request, issuer string) {
	form, done, ok := h.form(w, r)
	if !ok {
		return
	}
	defer done()
	if grant := form.Get("grant_type"); grant != "client_credentials" {
		oauthError(w, http.StatusBadRequest, "unsupported_grant_type",
			"log in as a service principal, with a token of dray as its secret: az login --service-principal")
		return
	}
	client, secret := form.Get("client_id"), form.Get("client_secret")
	if user, password, basic := r.BasicAuth(); basic { // §2.3.1: both are form-encoded first
		client, _ = url.QueryUnescape(user)
		secret, _ = url.QueryUnescape(password)
	}
	p, err := h.identify(r, client, secret)
	if err != nil {
		identityError(w, err)
		return
	}
	resource := form.Get("resource")
	if resource == "" {
		resource = strings.TrimSuffix(strings.Fields(form.Get("scope") + " x")[0], "/.default")
	}
	text, ends, err := h.Access.Issue(p, accessLife, map[string]any{
		"iss": issuer, "aud": resource, "tid": tenantID, "oid": p.Name, "appid": client,
	})
	if err != nil {
		identityError(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{
		"token_type": "Bearer", "access_token": text, "expires_in": secondsTo(ends), "ext_expires_in": secondsTo(ends),
		"expires_on": strconv.FormatInt(ends.Unix(), 10), "resource": resource,
	})
}

// identify returns the principal of a user and a secret. A caller that is the principal Local by its
// address needs no secret.
func (h *handler) identify(r *http.Request, user, secret string) (access.Principal, error) {
	bare := r.Clone(r.Context())
	bare.Header.Del("Authorization")
	bare.TLS = nil
	if p, err := h.Access.Authenticate(bare); err == nil && (p.Via == access.ViaLoopback || user == "" && secret == "") {
		return p, nil
	}
	if secret == "" {
		err := errors.New("the request has no secret")
		return access.Principal{}, &fault.Fault{Kind: fault.Denied, Op: "authenticate", Err: err}
	}
	return h.Access.Identify(r.Context(), user, secret)
}

// registryTokens answers the token requests that Azure's registries offer in addition to the
// distribution specification. POST /oauth2/exchange exchanges a token of the cloud for a refresh token.
// POST /oauth2/token exchanges a refresh token or a login for an access token, and so does POST /v2/token, where tools
// with an identity token ask (distribution v3, "Token Authentication Specification": OAuth2).
func (h *handler) registryTokens(w http.ResponseWriter, r *http.Request, path []string) {
	token := is(path, "oauth2", "token") || is(path, "v2", "token")
	exchange := is(path, "oauth2", "exchange")
	switch {
	case r.Method == http.MethodGet && token:
		h.dockerToken(w, r)
		return
	case r.Method != http.MethodPost || !exchange && !token:
		notFound(w, r)
		return
	}
	form, done, ok := h.form(w, r)
	if !ok {
		return
	}
	defer done()
	var p access.Principal
	var err error
	switch grant := form.Get("grant_type"); {
	case exchange && grant == "access_token":
		p, err = h.identify(r, "", form.Get("access_token"))
	case !exchange && grant == "refresh_token":
		p, err = h.identify(r, "", form.Get("refresh_token"))
	case !exchange && grant == "password":
		p, err = h.identify(r, form.Get("username"), form.Get("password"))
	default:
		oauthError(w, http.StatusBadRequest, "unsupported_grant_type",
			"grant_type must be access_token at /oauth2/exchange, and refresh_token or password at /oauth2/token")
		return
	}
	if err == nil && exchange && p.Via == access.ViaNothing {
		err = &fault.Fault{Kind: fault.Denied, Op: "authenticate", Err: errors.New("the request has no access_token")}
	}
	if err != nil {
		identityError(w, err)
		return
	}
	service := form.Get("service")
	if exchange {
		h.issue(w, p, "refresh_token", refreshLife, map[string]any{
			"aud": service, "grant_type": "refresh_token", "tenant": tenantID,
		})
		return
	}
	host := h.Host
	for _, name := range []string{r.Host, service} {
		if of := h.hostOf(name); of != name {
			host = of
		}
	}
	granted, err := h.granted(p, host, form["scope"])
	if err != nil {
		oauthError(w, http.StatusUnauthorized, "access_denied", withHint(err))
		return
	}
	claims := map[string]any{"aud": service, "grant_type": "access_token", "access": granted}
	h.issue(w, p, "access_token", accessLife, claims)
}

// grant is what a token says about one scope. The rules are checked again when the token is used; az shows the claim.
type grant struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// granted returns what of scopes the rules grant p. If there are scopes and nothing of them is granted, the error is
// Denied: az shows that at once, and would repeat for 15 seconds a request that is refused later.
func (h *handler) granted(p access.Principal, host string, scopes []string) ([]grant, error) {
	all, asked := []grant{}, []string{}
	for scope := range strings.FieldsSeq(strings.Join(scopes, " ")) {
		kind, name, actions, known := acr.Granted(h.Access, p, host, scope)
		if !known {
			continue
		}
		asked = append(asked, scope)
		if len(actions) > 0 {
			all = append(all, grant{kind, name, actions})
		}
	}
	if len(asked) > 0 && len(all) == 0 {
		return nil, &fault.Fault{Kind: fault.Denied, Op: "grant", Name: strings.Join(asked, " "),
			Hint: "ask an admin to add a rule below server.policy", Err: errors.New("no rule grants any of it to " + p.Name)}
	}
	return all, nil
}

// dockerToken is the token endpoint of distribution: it accepts a login as Basic, or no login.
func (h *handler) dockerToken(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	p, err := h.identify(r, user, password)
	if err != nil {
		w.Header().Set("WWW-Authenticate", access.Challenge)
		identityError(w, err)
		return
	}
	h.issue(w, p, "token", accessLife, map[string]any{"aud": r.URL.Query().Get("service"), "grant_type": "access_token"})
}

// issue answers with a new token of p under the key as.
func (h *handler) issue(
	w http.ResponseWriter, p access.Principal, as string, life time.Duration, claims map[string]any,
) {
	text, ends, err := h.Access.Issue(p, life, claims)
	if err != nil {
		identityError(w, err)
		return
	}
	body := map[string]any{as: text, "expires_in": secondsTo(ends)}
	if as == "token" {
		body["access_token"] = text
	}
	answer(w, http.StatusOK, body)
}

func secondsTo(ends time.Time) int { return int(time.Until(ends) / time.Second) }

// form returns the form in the body. If ok is false, form has answered the request with an error. Otherwise the caller
// must call done when it has handled r. The client is not known yet, and so its address stands for it.
func (h *handler) form(w http.ResponseWriter, r *http.Request) (values url.Values, done func(), ok bool) {
	client, _, _ := net.SplitHostPort(r.RemoteAddr)
	done, err := h.take(w, r, client, maxForm)
	if err != nil {
		refuse(w, err)
		return nil, nil, false
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		done()
		oauthError(w, http.StatusBadRequest, "invalid_request", "the body is not a form")
		return nil, nil, false
	}
	return r.PostForm, done, true // never the query: the log contains it
}

// identityError answers with an error of authentication.
func identityError(w http.ResponseWriter, err error) {
	if fault.Is(err, fault.Denied) {
		oauthError(w, http.StatusUnauthorized, "invalid_client", withHint(err))
		return
	}
	refuse(w, err)
}

// oauthError answers with an error in the form of RFC 6749 §5.2.
func oauthError(w http.ResponseWriter, status int, code, description string) {
	answer(w, status, map[string]any{"error": code, "error_description": description})
}
