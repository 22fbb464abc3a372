package credential

import (
	"context"
	"strings"

	"github.com/drayage/dray/ref"
)

// Azure finds Microsoft Entra tokens for Azure Container Registry. The Login has the Scheme [Exchange], and all
// registries in the tenant of the identity accept it. The sources are, in this order:
//
//  1. a service principal: $AZURE_CLIENT_ID and $AZURE_TENANT_ID with $AZURE_CLIENT_SECRET, or
//     with $AZURE_CLIENT_CERTIFICATE_PATH (PEM, certificate and RSA key, not encrypted);
//  2. workload identity: the same two with $AZURE_FEDERATED_TOKEN_FILE;
//  3. managed identity: $IDENTITY_ENDPOINT with $IDENTITY_HEADER (App Service, Container Apps),
//     $MSI_ENDPOINT (older App Service, Cloud Shell), or the metadata service of virtual machines;
//     $AZURE_CLIENT_ID selects one of several identities;
//  4. the az command, if it is on PATH and logged in.
//
// $AZURE_AUTHORITY_HOST names the Entra endpoint for 1 and 2. If it is not set, the endpoint is that of the cloud
// to which the host belongs, and for Hosts that of the public cloud.
//
// The token is for the audience of container registries. If Entra does not know this audience, the token is for
// the audience of the resource manager. If a registry refuses the token, [Login.Fallback] returns one for the
// resource manager. Such a token allows more than to pull and push, so it is used only for names of Azure and
// never for Hosts.
type Azure struct {
	Cloud

	// Hosts are other registries that accept Entra tokens, in addition to *.azurecr.io, *.azurecr.cn and
	// *.azurecr.us: Azure container registries with names of their own. "HOST" or "HOST:PORT".
	Hosts []string
}

// Lookup returns a Lookup for the registries of Azure. [Cloud] describes its errors, its cache and its
// concurrency.
func (a Azure) Lookup() Lookup { return a.on(a.machine()) }

func (a Azure) on(m *machine) Lookup {
	z := &azure{machine: m}
	for _, c := range azureClouds {
		z.seconds = append(z.seconds, &second{func(ctx context.Context) (Login, bool, error) {
			return z.identity(ctx, c, c.manager, nil)
		}})
	}
	return func(ctx context.Context, repo ref.Repo) (Login, bool, error) {
		for i, c := range azureClouds {
			if strings.HasSuffix(repo.Host, c.suffix) {
				return z.identity(ctx, c, registryAudience, z.seconds[i])
			}
		}
		if listed(a.Hosts, repo.Host) {
			return z.identity(ctx, azureClouds[0], registryAudience, nil)
		}
		return Login{}, false, nil
	}
}

// identity returns the login for a cloud and an audience. It asks the sources once for each of them.
func (z *azure) identity(ctx context.Context, c azureCloud, audience string, next *second) (Login, bool, error) {
	l, ok, err := z.once(ctx, "azure "+c.suffix+" "+audience, func(ctx context.Context) found {
		f := z.find(ctx, c, audience)
		if next != nil && unknownAudience(f.err) {
			f = z.find(ctx, c, c.manager)
		}
		return f
	})
	if ok {
		l.second = next
	}
	return l, ok, err
}

func (z *azure) find(ctx context.Context, c azureCloud, audience string) found {
	return first(ctx,
		func(ctx context.Context) found { return z.principal(ctx, c, audience) },
		func(ctx context.Context) found { return z.workload(ctx, c, audience) },
		func(ctx context.Context) found { return z.managed(ctx, audience) },
		func(ctx context.Context) found { return z.command(ctx, audience) },
	)
}
