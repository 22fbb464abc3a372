package arm

import (
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/drayage/dray/cmd/internal/access"
)

// subscriptionPath answers a request for a path below /subscriptions.
func (h *handler) subscriptionPath(w http.ResponseWriter, r *http.Request, p access.Principal, at scope) {
	const providers = "providers"
	get, post := r.Method == http.MethodGet, r.Method == http.MethodPost
	switch rest := at.rest; {
	case get && is(rest, "*") && rest[0] == "*":
		answer(w, http.StatusOK, list(subscription(subscriptionID)))
	case get && len(rest) == 0 && at.group == "":
		answer(w, http.StatusOK, subscription(at.subscription))
	case get && len(rest) == 0:
		answer(w, http.StatusOK, group(at))
	case get && is(rest, "resourceGroups"):
		at.group = groupName
		answer(w, http.StatusOK, list(group(at)))
	case get && is(rest, "resources"):
		answer(w, http.StatusOK, h.resources(at, r.URL.Query().Get("$filter")))
	case get && is(rest, providers):
		answer(w, http.StatusOK, list(provider(at)))
	case get && is(rest, providers, namespace), post && is(rest, providers, namespace, "register"):
		answer(w, http.StatusOK, provider(at))
	case get && is(rest, providers, namespace, "registries"):
		all := []any{}
		for _, known := range h.all {
			all = append(all, h.described(at, known, known.azName))
		}
		answer(w, http.StatusOK, list(all...))
	case post && is(rest, providers, namespace, "checkNameAvailability"):
		h.checkName(w, r)
	case get && is(rest, providers, namespace, "locations", "*", "operationResults", "*"):
		h.operationResult(w, r, p, at, rest[5])
	case len(rest) >= 4 && at.group != "" && is(rest[:4], providers, namespace, "registries", "*"):
		h.registry(w, r, p, at)
	default:
		notFound(w, r)
	}
}

// registry answers a request for one registry.
func (h *handler) registry(w http.ResponseWriter, r *http.Request, p access.Principal, at scope) {
	name := at.rest[3]
	known, ok := h.byName[strings.ToLower(name)]
	if !ok {
		writeError(w, http.StatusNotFound, "ResourceNotFound",
			"The Resource '"+registryType+"/"+name+"' under resource group '"+at.group+"' was not found: "+
				"dray has no registry with this name. Add it below registries: in the configuration of dray.")
		return
	}
	switch action := at.rest[4:]; {
	case r.Method == http.MethodGet && len(action) == 0:
		answer(w, http.StatusOK, h.described(at, known, name))
	case len(action) == 0:
		unsupported(w, "registries are added, changed and removed in the configuration of dray (registries:)")
	case r.Method == http.MethodPost && is(action, "importImage"):
		h.importImage(w, r, p, at, known)
	case r.Method == http.MethodPost && is(action, "listCredentials"):
		h.credentials(w, p, known, name)
	default:
		h.resource(w, r, p, at, known, action)
	}
}

func subscription(id string) map[string]any {
	return map[string]any{
		"id": "/subscriptions/" + id, "subscriptionId": id, "tenantId": tenantID,
		"displayName": "dray", "state": "Enabled", "authorizationSource": "RoleBased",
		"subscriptionPolicies": map[string]string{
			"locationPlacementId": "Public_2014-09-01", "quotaId": "dray", "spendingLimit": "Off",
		},
	}
}

func group(at scope) map[string]any {
	return map[string]any{
		"id":         "/subscriptions/" + at.subscription + "/resourceGroups/" + at.group,
		"name":       at.group,
		"type":       "Microsoft.Resources/resourceGroups",
		"location":   location,
		"properties": map[string]string{"provisioningState": "Succeeded"},
	}
}

func provider(at scope) map[string]any {
	versions := []string{"2025-11-01", "2023-07-01", "2022-02-01-preview", "2019-05-01"}
	registries := map[string]any{
		"resourceType": "registries", "locations": []string{location}, "apiVersions": versions,
	}
	return map[string]any{
		"id":                "/subscriptions/" + at.subscription + "/providers/" + namespace,
		"namespace":         namespace,
		"registrationState": "Registered",
		"resourceTypes":     []any{registries},
	}
}

// described returns a registry in the form of the resource manager. Its SKU is Premium, which has all
// features that clients check for.
func (h *handler) described(at scope, known registry, name string) map[string]any {
	off, on := map[string]string{"status": "disabled"}, map[string]string{"status": "enabled"}
	all := brief(at, name)
	all["properties"] = map[string]any{
		"loginServer": h.server(known), "provisioningState": "Succeeded", "creationDate": "2026-01-01T00:00:00Z",
		// The login that a client gets instead of an admin user's is for this server alone.
		"adminUserEnabled": h.ours(known), "anonymousPullEnabled": false,
		// Data come from the login server itself, and from no other host.
		"dataEndpointEnabled": true, "dataEndpointHostNames": []string{},
		"publicNetworkAccess": "Enabled", "networkRuleBypassOptions": "None", "zoneRedundancy": "Disabled",
		"privateEndpointConnections": []string{}, "encryption": off,
		"policies": map[string]any{
			"quarantinePolicy":                 off,
			"trustPolicy":                      map[string]string{"type": "Notary", "status": "disabled"},
			"retentionPolicy":                  map[string]any{"days": 7, "status": "disabled"},
			"softDeletePolicy":                 map[string]any{"retentionDays": 7, "status": "disabled"},
			"exportPolicy":                     on,
			"azureADAuthenticationAsArmPolicy": on,
		},
	}
	return all
}

// brief returns a registry in the short form of a list.
func brief(at scope, name string) map[string]any {
	return map[string]any{
		"id": at.id(name), "name": name, "type": registryType, "location": location, "tags": map[string]string{},
		"sku": map[string]string{"name": "Premium", "tier": "Premium"},
	}
}

var (
	typeFilter = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)\bresourceType\s+eq\s+'([^']*)'`) })
	nameFilter = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)\bname\s+eq\s+'([^']*)'`) })
)

// resources lists the registries that filter selects. It understands the two filters that az uses: by
// type and by name.
func (h *handler) resources(at scope, filter string) map[string]any {
	all := []any{}
	if m := typeFilter().FindStringSubmatch(filter); m != nil && !strings.EqualFold(m[1], registryType) {
		return list(all...)
	}
	m := nameFilter().FindStringSubmatch(filter)
	for _, known := range h.all {
		if m == nil || strings.EqualFold(m[1], known.azName) {
			all = append(all, brief(at, known.azName))
		}
		// A registry whose name differs from azName is listed under both, because scripts may use its
		// name.
		if known.azName != known.Name && (m == nil || strings.EqualFold(m[1], known.Name)) {
			all = append(all, brief(at, known.Name))
		}
	}
	return list(all...)
}

func (h *handler) checkName(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Name string `json:"name"`
	}
	if err := read(w, r, &in); err != nil {
		refuse(w, err)
		return
	}
	reason, message := "Invalid", "Registries are added in the configuration of dray."
	if _, taken := h.byName[strings.ToLower(in.Name)]; taken {
		reason, message = "AlreadyExists", "The registry "+in.Name+" is already in use."
	}
	answer(w, http.StatusOK, map[string]any{"nameAvailable": false, "reason": reason, "message": message})
}
