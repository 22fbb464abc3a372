package credential

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"os/exec"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
)

// assertionType marks a JWT as a client's proof (RFC 7523 §2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

var errHalf = errors.New("AZURE_FEDERATED_TOKEN_FILE is set, and AZURE_CLIENT_ID or AZURE_TENANT_ID is not")

// principal is the service principal of the environment, by secret or certificate.
func (z *azure) principal(ctx context.Context, c azureCloud, audience string) found {
	id, tenant, secret, path := z.env("AZURE_CLIENT_ID"), z.env("AZURE_TENANT_ID"), z.env("AZURE_CLIENT_SECRET"), z.env("AZURE_CLIENT_CERTIFICATE_PATH")
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

// workload shows the token that the cluster or CI system keeps fresh in a file.
func (z *azure) workload(ctx context.Context, c azureCloud, audience string) found {
	path, id, tenant := z.env("AZURE_FEDERATED_TOKEN_FILE"), z.env("AZURE_CLIENT_ID"), z.env("AZURE_TENANT_ID")
	if path == "" {
		return found{}
	}
	who := "azure workload identity client " + short(id)
	if id == "" || tenant == "" {
		return found{err: &fault.Fault{Kind: fault.Invalid, Op: "use", Name: strings.TrimSuffix(who, " client "), Hint: "set all three or none", Err: errHalf}}
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

// credentials is the client credentials grant of Microsoft's identity platform, v2.0.
func (z *azure) credentials(ctx context.Context, who, at, id, audience string, fields url.Values, secret string) found {
	fields.Set("grant_type", "client_credentials")
	fields.Set("client_id", id)
	fields.Set("scope", audience+"/.default")
	t, err := z.getToken(ctx, form(who, at, fields, secret))
	return entra(who, t, err)
}

// certificateProof signs what Entra takes in place of a secret: PS256 and the certificate's
// SHA-256 thumbprint, good for ten minutes.
func certificateProof(who, path, audience, id string, now time.Time) (string, error) {
	no := func(kind fault.Kind, err error) error {
		return &fault.Fault{Kind: kind, Op: "read the certificate " + path + " for", Name: who,
			Hint: "give PEM with certificate and key, not PKCS #12", Err: err}
	}
	data, err := readAtMost(path, maxFile)
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
	print := sha256.Sum256(cert.Raw)
	proof, err := signJWT(key, ps256,
		map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(print[:])},
		map[string]any{"aud": audience, "iss": id, "sub": id, "jti": rand.Text(),
			"nbf": now.Unix(), "iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix()})
	if err != nil {
		return "", no(fault.Internal, err)
	}
	return proof, nil
}

// command asks az, which knows who is logged in. One without a login is no source.
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
		return found{err: &fault.Fault{Kind: fault.Denied, Op: "ask", Name: who, Hint: "az login", Err: errors.New(said)}}
	case err != nil:
		return found{err: err}
	}
	var a struct {
		Token string          `json:"accessToken"`
		On    json.RawMessage `json:"expires_on"` // its expiresOn is local time without a zone
	}
	q := question{who: who}
	if json.Unmarshal(out, &a) != nil {
		return found{err: q.fail(fault.Denied, errNoAnswer)}
	}
	t, err := q.token(tokenAnswer{Token: a.Token, On: a.On})
	return entra("az login", t, err)
}
