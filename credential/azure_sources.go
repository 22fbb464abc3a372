package credential

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
)

// assertionType says that a client authenticates itself with a JWT (RFC 7523 §2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

var errHalf = errors.New("AZURE_FEDERATED_TOKEN_FILE is set, but AZURE_CLIENT_ID or AZURE_TENANT_ID is not")

// principal uses the service principal in the environment, with its secret or its certificate.
func (z *azure) principal(ctx context.Context, c azureCloud, audience string) found {
	id, tenant := z.env("AZURE_CLIENT_ID"), z.env("AZURE_TENANT_ID")
	secret, path := z.env("AZURE_CLIENT_SECRET"), z.env("AZURE_CLIENT_CERTIFICATE_PATH")
	if id == "" || tenant == "" || secret == "" && path == "" {
		return found{}
	}
	who := "azure service principal " + short(id)
	at := z.tokenURL(c, tenant)
	fields := url.Values{}
	if secret != "" {
		fields.Set("client_secret", secret)
		return z.credentials(ctx, who, at, id, audience, fields, secret)
	}
	proof, err := certificateProof(who, path, at, id, time.Now())
	if err != nil {
		return found{err: err}
	}
	fields.Set("client_assertion_type", assertionType)
	fields.Set("client_assertion", proof)
	return z.credentials(ctx, who+" by certificate", at, id, audience, fields, proof)
}

// workload uses the token in a file, which the cluster or the CI system renews.
func (z *azure) workload(ctx context.Context, c azureCloud, audience string) found {
	path, id, tenant := z.env("AZURE_FEDERATED_TOKEN_FILE"), z.env("AZURE_CLIENT_ID"), z.env("AZURE_TENANT_ID")
	if path == "" {
		return found{}
	}
	who := "azure workload identity client " + short(id)
	if id == "" || tenant == "" {
		return found{err: &fault.Fault{
			Kind: fault.Invalid,
			Op:   "use",
			Name: strings.TrimSuffix(who, " client "),
			Hint: "set all three variables or none of them",
			Err:  errHalf,
		}}
	}
	proof, err := secretFile(who, path)
	if err != nil {
		return found{err: err}
	}
	fields := url.Values{"client_assertion_type": {assertionType}, "client_assertion": {proof}}
	return z.credentials(ctx, who, z.tokenURL(c, tenant), id, audience, fields, proof)
}

func (z *azure) tokenURL(c azureCloud, tenant string) string {
	host := strings.TrimRight(orElse(z.env("AZURE_AUTHORITY_HOST"), c.authority), "/")
	return host + "/" + url.PathEscape(tenant) + "/oauth2/v2.0/token"
}

// credentials requests a token with the client credentials grant of Microsoft's identity platform, v2.0.
func (z *azure) credentials(ctx context.Context, who, at, id, audience string, fields url.Values, secret string) found {
	fields.Set("grant_type", "client_credentials")
	fields.Set("client_id", id)
	fields.Set("scope", audience+"/.default")
	t, err := z.getToken(ctx, form(who, at, fields, secret))
	return entra(who, t, err)
}

// certificateProof returns the JWT that Entra accepts instead of a secret. It is signed with PS256, contains the
// SHA-256 thumbprint of the certificate, and is valid for ten minutes.
func certificateProof(who, path, audience, id string, now time.Time) (string, error) {
	no := func(kind fault.Kind, err error) error {
		return &fault.Fault{Kind: kind, Op: "read the certificate " + path + " for", Name: who,
			Hint: "use a PEM file with the certificate and the key, not PKCS #12", Err: err}
	}
	data, err := readFile(path)
	if err != nil {
		return "", no(fault.Denied, err)
	}
	key, err := rsaKey(data)
	if err != nil {
		return "", no(fault.Invalid, err)
	}
	cert, err := certOf(data, key)
	if err != nil {
		return "", no(fault.Invalid, err)
	}
	thumbprint := sha256.Sum256(cert.Raw)
	proof, err := signJWT(key, ps256,
		map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(thumbprint[:])},
		map[string]any{"aud": audience, "iss": id, "sub": id, "jti": rand.Text(),
			"nbf": now.Unix(), "iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix()})
	if err != nil {
		return "", no(fault.Internal, err)
	}
	return proof, nil
}

// command asks the az command for a token of the account that is logged in. If no account is logged in, az is not a
// source.
func (z *azure) command(ctx context.Context, audience string) found {
	const who = "az account get-access-token"
	path, err := exec.LookPath("az")
	if err != nil {
		return found{}
	}
	out, said, err := z.program(ctx, who, path, "account", "get-access-token", "--resource", audience, "--output", "json")
	switch {
	case fault.Is(err, fault.Denied) && strings.Contains(said, "az login") && !strings.Contains(said, "AADSTS"):
		return found{}
	case fault.Is(err, fault.Denied) && said != "":
		return found{err: &fault.Fault{Kind: fault.Denied, Op: "ask", Name: who, Hint: "run az login", Err: errors.New(said)}}
	case err != nil:
		return found{err: err}
	}
	var a struct {
		Token string          `json:"accessToken"`
		On    json.RawMessage `json:"expires_on"` // not expiresOn, which is a local time without a zone
	}
	q := question{who: who}
	if json.Unmarshal(out, &a) != nil {
		return found{err: q.fail(fault.Denied, errNoAnswer)}
	}
	t, err := q.token(tokenAnswer{Token: a.Token, On: a.On})
	return entra("az login", t, err)
}

// azureIMDS is the metadata service of virtual machines and scale sets.
const azureIMDS = "http://169.254.169.254/metadata/identity/oauth2/token"

// managed uses the identity that Azure gives to the machine or the app. Its endpoints expect the audience without a
// suffix, as "resource".
func (z *azure) managed(ctx context.Context, audience string) found {
	id := z.env("AZURE_CLIENT_ID")
	who := strings.TrimSpace("azure managed identity " + short(id))
	if at, secret := z.env("IDENTITY_ENDPOINT"), z.env("IDENTITY_HEADER"); at != "" && secret != "" {
		q := question{who: who, url: at, hide: []string{secret}, header: map[string]string{"X-IDENTITY-HEADER": secret}}
		return z.host(ctx, q, url.Values{"api-version": {"2019-08-01"}, "resource": {audience}}, "client_id", id)
	}
	if at, secret := z.env("MSI_ENDPOINT"), z.env("MSI_SECRET"); at != "" && secret != "" {
		return z.host(ctx, question{who: who, url: at, hide: []string{secret}, header: map[string]string{"secret": secret}},
			url.Values{"api-version": {"2017-09-01"}, "resource": {audience}}, "clientid", id)
	} else if at != "" { // Cloud Shell has only one identity, that of the user
		q := form("azure cloud shell", at, url.Values{"resource": {audience}})
		q.header["Metadata"] = "true"
		t, err := z.getToken(ctx, q)
		return entra(q.who, t, err)
	}
	return z.imds(ctx, who, audience, id)
}

// host asks the identity endpoint that the host of an app names in environment variables.
func (z *azure) host(ctx context.Context, q question, query url.Values, idKey, id string) found {
	if id != "" {
		query.Set(idKey, id)
	}
	u, err := endpoint(q.url)
	if err != nil {
		return found{err: q.fail(fault.Invalid, err)}
	}
	u.RawQuery = query.Encode()
	q.url = u.String()
	t, err := z.getToken(ctx, q)
	return entra(q.who, t, err)
}

// imds asks the metadata service, which is not configured and may not exist. If the answer is not one of Azure's
// service, there is no such service. Status 400 means that the machine has no identity; this is an error only if
// a client ID asks for an identity.
func (z *azure) imds(ctx context.Context, who, audience, id string) found {
	query := url.Values{"api-version": {"2018-02-01"}, "resource": {audience}}
	if id != "" {
		query.Set("client_id", id)
	}
	q := question{who: who, url: azureIMDS + "?" + query.Encode(), header: map[string]string{"Metadata": "true"}}
	r, ok, err := z.probe(ctx, q)
	switch {
	case err != nil || !ok:
		return found{err: err}
	case r.status == http.StatusBadRequest && (id != "" || unknownAudience(q.refused(r))):
		return found{err: q.refused(r)}
	case r.status >= 300 && r.status < 500 && r.status != http.StatusTooManyRequests:
		return found{}
	}
	var a tokenAnswer
	if err := q.read(r, &a); err != nil {
		return found{err: err}
	}
	t, err := q.token(a)
	return entra(who, t, err)
}
