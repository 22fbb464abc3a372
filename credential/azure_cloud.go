package credential

import "strings"

// azureCloud is one of the separate clouds of Azure.
type azureCloud struct {
	suffix    string
	authority string
	manager   string // the audience of the resource manager
}

const registryAudience = "https://containerregistry.azure.net"

var azureClouds = []azureCloud{
	{".azurecr.io", "https://login.microsoftonline.com", "https://management.azure.com"},
	{".azurecr.cn", "https://login.chinacloudapi.cn", "https://management.chinacloudapi.cn"},
	{".azurecr.us", "https://login.microsoftonline.us", "https://management.usgovcloudapi.net"},
}

type azure struct {
	*machine
	seconds []*second // one for each of azureClouds
}

// unknownAudience reports whether err is the answer of Entra to an audience that the tenant or the cloud does not
// have. Older versions of its services have no code for this, so the text must be searched.
func unknownAudience(err error) bool {
	if err == nil {
		return false
	}
	for _, sign := range []string{"invalid_resource", "invalid_scope", "AADSTS500011"} {
		if strings.Contains(err.Error(), sign) {
			return true
		}
	}
	return false
}

// entra returns the Login for a token, or err.
func entra(who string, t token, err error) found {
	if err != nil {
		return found{err: err}
	}
	return t.good(Login{Scheme: Exchange, Password: New(t.value), From: who})
}
