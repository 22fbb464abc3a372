package arm

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/fault"
)

// How long what is issued here lives. A refresh token is what `docker login` keeps.
const (
	accessLife  = time.Hour
	refreshLife = access.MaxSession
)

// metadata tells `az cloud register` the rest, when it knows the address of the manager alone.
func (h *handler) metadata(w http.ResponseWriter, r *http.Request, path []string) {
	if r.Method != http.MethodGet || !is(path, "metadata", "endpoints") {
		notFound(w, r)
		return
	}
	base := h.base(r)
	answer(w, http.StatusOK, map[string]any{
		"galleryEndpoint": base + "/", "graphEndpoint": base + "/", "portalEndpoint": base + "/",
		// The path makes az take this for Active Directory Federation Services, whose login asks
		// nobody at Microsoft which authorities there are.
		"authentication": map[string]any{"loginEndpoint": base + "/adfs", "audiences": []string{base + "/"}},
	})
}

// authority is the least of an OpenID provider: it trades a token of dray, or a user's password,
// given as a service principal's secret, for an access token.
func (h *handler) authority(w http.ResponseWriter, r *http.Request, path []string) {
	tenant, rest := path[0], path[1:]
	if len(rest) > 1 && strings.EqualFold(rest[1], ".well-known") && !is(rest[:1], "v2.0") {
		rest = rest[1:] // az asks for "--tenant adfs" below the authority that is called so
	}
	issuer := h.base(r) + "/" + tenant
	switch {
	case r.Method == http.MethodGet && (is(rest, ".well-known", "openid-configuration") || is(rest, "v2.0", ".well-known", "openid-configuration")):
		token := issuer + "/oauth2/token"
		if rest[0] == "v2.0" {
			token = issuer + "/oauth2/v2.0/token"
		}
		answer(w, http.StatusOK, map[string]any{
			"issuer": issuer, "authorization_endpoint": issuer + "/oauth2/authorize", "token_endpoint": token,
			"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic"},
			"response_types_supported":              []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
		})
	case r.Method == http.MethodPost && (is(rest, "oauth2", "token") || is(rest, "oauth2", "v2.0", "token")):
		h.clientCredentials(w, r, issuer)
	default:
		notFound(w, r)
	}
}

// clientCredentials is RFC 6749 §4.4.
func (h *handler) clientCredentials(w http.ResponseWriter, r *http.Request, issuer string) {
	form, ok := form(w, r)
	if !ok {
		return
	}
	if grant := form.Get("grant_type"); grant != "client_credentials" {
		oauthError(w, http.StatusBadRequest, "unsupported_grant_type", "log in as a service principal, with a token of dray as its secret: az login --service-principal")
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
	text, ends, err := h.Access.Issue(p, accessLife, map[string]any{"iss": issuer, "aud": resource, "tid": tenantID, "oid": p.Name, "appid": client})
	if err != nil {
		identityError(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{
		"token_type": "Bearer", "access_token": text, "expires_in": secondsTo(ends), "ext_expires_in": secondsTo(ends),
		"expires_on": strconv.FormatInt(ends.Unix(), 10), "resource": resource,
	})
}

// whoever finds who shows these; nothing is needed of the person at the machine.
func (h *handler) identify(r *http.Request, user, secret string) (access.Principal, error) {
	bare := r.Clone(r.Context())
	bare.Header.Del("Authorization")
	bare.TLS = nil
	if p, err := h.Access.Authenticate(bare); err == nil && (p.Via == access.ViaLoopback || user == "" && secret == "") {
		return p, nil
	}
	if secret == "" {
		return access.Principal{}, &fault.Fault{Kind: fault.Denied, Op: "authenticate", Err: errors.New("no secret")}
	}
	return h.Access.Identify(r.Context(), user, secret)
}

// registryTokens is what Azure's registries offer beside the distribution specification:
// POST /oauth2/exchange trades a token of the cloud for a refresh token, /oauth2/token that, or a
// login, for an access token.
func (h *handler) registryTokens(w http.ResponseWriter, r *http.Request, path []string) {
	switch {
	case r.Method == http.MethodGet && is(path, "oauth2", "token"):
		h.dockerToken(w, r)
		return
	case r.Method != http.MethodPost || !is(path, "oauth2", "exchange") && !is(path, "oauth2", "token"):
		notFound(w, r)
		return
	}
	form, ok := form(w, r)
	if !ok {
		return
	}
	p, err := access.Principal{}, error(nil)
	exchange := is(path, "oauth2", "exchange")
	switch grant := form.Get("grant_type"); {
	case exchange && grant == "access_token":
		p, err = h.identify(r, "", form.Get("access_token"))
	case !exchange && grant == "refresh_token":
		p, err = h.identify(r, "", form.Get("refresh_token"))
	case !exchange && grant == "password":
		p, err = h.identify(r, form.Get("username"), form.Get("password"))
	default:
		oauthError(w, http.StatusBadRequest, "unsupported_grant_type", "grant_type is access_token at /oauth2/exchange, and refresh_token or password at /oauth2/token")
		return
	}
	if err == nil && exchange && p.Via == access.ViaNothing {
		err = &fault.Fault{Kind: fault.Denied, Op: "authenticate", Err: errors.New("no access_token")}
	}
	if err != nil {
		identityError(w, err)
		return
	}
	if exchange {
		h.issue(w, p, "refresh_token", refreshLife, map[string]any{"aud": form.Get("service"), "grant_type": "refresh_token", "tenant": tenantID})
		return
	}
	h.issue(w, p, "access_token", accessLife, map[string]any{"aud": form.Get("service"), "grant_type": "access_token"})
}

// dockerToken is distribution's token endpoint: a login as Basic, or none.
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

func (h *handler) issue(w http.ResponseWriter, p access.Principal, as string, life time.Duration, claims map[string]any) {
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

func form(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		oauthError(w, http.StatusBadRequest, "invalid_request", "the body is not a form")
		return nil, false
	}
	return r.PostForm, true // never of the address: that is logged
}

func identityError(w http.ResponseWriter, err error) {
	if fault.Is(err, fault.Denied) {
		oauthError(w, http.StatusUnauthorized, "invalid_client", withHint(err))
		return
	}
	refuse(w, err)
}

// oauthError is RFC 6749 §5.2.
func oauthError(w http.ResponseWriter, status int, code, description string) {
	answer(w, status, map[string]any{"error": code, "error_description": description})
}

// Challenge is the value of WWW-Authenticate for a 401 of the embedded registry, which leads
// docker's clients and az alike to its tokens. base is what the client calls the server.
func Challenge(base string) string {
	host := base
	if u, err := url.Parse(base); err == nil {
		host = u.Host
	}
	// az parts it at spaces and commas: there is none within.
	return `Bearer realm="` + base + `/oauth2/token",service="` + host + `"`
}
