package credential

import "strings"

// azureCloud is one of the separate clouds of Azure.
type azureCloud struct {
	suffix    string
	authority string
	manager   string // the resource manager's audience
}

const registryAudience = "https://containerregistry.azure.net"

var azureClouds = []azureCloud{
	{".azurecr.io", "https://login.microsoftonline.com", "https://management.azure.com"},
	{".azurecr.cn", "https://login.chinacloudapi.cn", "https://management.chinacloudapi.cn"},
	{".azurecr.us", "https://login.microsoftonline.us", "https://management.usgovcloudapi.net"},
}

type azure struct {
	*machine
	seconds []*second // of azureClouds
}

// unknownAudience knows the answers of Entra to an audience that the tenant or cloud does not
// have; the older forms of its services say it in words only.
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

// entra is the Login for a token, or the fault.
func entra(who string, t token, err error) found {
	if err != nil {
		return found{err: err}
	}
	return t.good(Login{Scheme: Exchange, Password: New(t.value), From: who})
}
