package credential

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/drayage/dray/fault"
)

// azureIMDS is the metadata service of virtual machines and scale sets.
const azureIMDS = "http://169.254.169.254/metadata/identity/oauth2/token"

// managed is the identity that Azure gives the machine or app itself. Its endpoints take a bare
// audience as "resource".
func (z *azure) managed(ctx context.Context, audience string) found {
	id := z.env("AZURE_CLIENT_ID")
	who := strings.TrimSpace("azure managed identity " + short(id))
	if at, secret := z.env("IDENTITY_ENDPOINT"), z.env("IDENTITY_HEADER"); at != "" && secret != "" {
		return z.host(ctx, question{who: who, url: at, hide: []string{secret}, header: map[string]string{"X-IDENTITY-HEADER": secret}},
			url.Values{"api-version": {"2019-08-01"}, "resource": {audience}}, "client_id", id)
	}
	if at, secret := z.env("MSI_ENDPOINT"), z.env("MSI_SECRET"); at != "" && secret != "" {
		return z.host(ctx, question{who: who, url: at, hide: []string{secret}, header: map[string]string{"secret": secret}},
			url.Values{"api-version": {"2017-09-01"}, "resource": {audience}}, "clientid", id)
	} else if at != "" { // Cloud Shell has one identity, the user's
		q := form("azure cloud shell", at, url.Values{"resource": {audience}})
		q.header["Metadata"] = "true"
		t, err := z.getToken(ctx, q)
		return entra(q.who, t, err)
	}
	return z.imds(ctx, who, audience, id)
}

// host asks the identity endpoint that an app's host names in variables.
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

// imds asks a service that nobody configured: what does not answer as Azure's would is not there,
// and a machine without an identity answers 400. With a client id the identity was asked for.
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
