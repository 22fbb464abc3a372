package credential

import (
	"context"
	"errors"
	"strings"

	"github.com/drayage/dray/fault"
)

// ManagerTokens returns a token for Azure's resource manager at the URL manager, for work on the registry at host.
// Each call returns a token that is valid for some time. The error is [fault.Denied] if there is no identity, and
// otherwise as [Cloud] describes it.
type ManagerTokens func(ctx context.Context, host, manager string) (Secret, error)

// Managers returns the ManagerTokens of the identity that [Azure] finds. Hosts does not matter: whoever names a
// resource manager for a registry trusts it.
func (a Azure) Managers() ManagerTokens {
	z := &azure{machine: a.machine()}
	return func(ctx context.Context, host, manager string) (Secret, error) {
		cloud := azureClouds[0]
		for _, c := range azureClouds {
			if strings.HasSuffix(host, c.suffix) {
				cloud = c
			}
		}
		l, ok, err := z.identity(ctx, cloud, manager, nil)
		if err == nil && !ok {
			err = &fault.Fault{Kind: fault.Denied, Op: "find an Azure identity for", Name: manager,
				Err:  errors.New("this machine has none"),
				Hint: "run az login, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET"}
		}
		return l.Password, err
	}
}

// ResourceManager returns the URL of the resource manager of the Azure cloud to which a registry belongs by its name;
// "" if the name is not one of Azure.
func ResourceManager(host string) string {
	for _, c := range azureClouds {
		if strings.HasSuffix(host, c.suffix) {
			return c.manager
		}
	}
	return ""
}
