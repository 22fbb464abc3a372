package arm

import (
	"net/http"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/internal/shell"
)

// lacks says, for each kind of resource of a registry that dray does not have, what dray has instead. Their lists are
// empty.
var lacks = map[string]string{
	"agentpools":                 "dray runs no tasks",
	"cacherules":                 "dray has no cache rules; mirror rules copy images ahead: " + shell.Dray("mirror"),
	"connectedregistries":        "dray has no connected registries",
	"credentialsets":             "dray has no credential sets; logins are in the configuration of the server",
	"exportpipelines":            "dray has no pipelines; its bundles are files",
	"importpipelines":            "dray has no pipelines; its bundles are files",
	"pipelineruns":               "dray has no pipelines; its bundles are files",
	"privateendpointconnections": "dray has no private endpoints",
	"privatelinkresources":       "dray has no private endpoints",
	"replications":               "dray does not replicate registries; mirror rules copy images: " + shell.Dray("mirror"),
	"runs":                       "dray runs no tasks",
	"taskruns":                   "dray runs no tasks",
	"tasks":                      "dray runs no tasks",
	"webhooks":                   "dray has no webhooks",
}

// actions says the same of operations on a registry.
var actions = map[string]string{
	"schedulerun":              "dray builds no images and runs no tasks",
	"listbuildsourceuploadurl": "dray builds no images and runs no tasks",
	"generatecredentials":      "make tokens with " + shell.Dray("serve", "token", "create", "NAME"),
	"regeneratecredential": "the login of a registry is a token of dray; make another with " +
		shell.Dray("serve", "token", "create", "NAME"),
	"scopemaps": "rules are added in the configuration of the server (server.policy)",
	"tokens": "make and revoke tokens with " + shell.Dray("serve", "token", "create", "NAME") + " and " +
		shell.Dray("serve", "token", "revoke", "ID"),
}

// resource answers a request for what belongs to a registry.
func (h *handler) resource(
	w http.ResponseWriter, r *http.Request, p access.Principal, at scope, known registry, action []string,
) {
	get := r.Method == http.MethodGet
	kind := strings.ToLower(action[0])
	none, empty := lacks[kind]
	switch {
	case get && is(action, "listUsages"):
		answer(w, http.StatusOK, h.usage(known))
	case get && is(action, "tokens"), get && is(action, "tokens", "*"):
		h.tokens(w, r, p, at, known, action[1:])
	case get && is(action, "scopeMaps"), get && is(action, "scopeMaps", "*"):
		h.scopeMaps(w, p, at, known, action[1:])
	case get && empty && len(action) == 1:
		answer(w, http.StatusOK, list())
	case get && empty:
		writeError(w, http.StatusNotFound, "ResourceNotFound", sentence(none))
	case empty:
		unsupported(w, none)
	case actions[kind] != "":
		unsupported(w, actions[kind])
	default:
		notFound(w, r)
	}
}

// unsupported answers a request for what dray does not do. No client repeats a request after this status.
func unsupported(w http.ResponseWriter, why string) {
	writeError(w, http.StatusNotFound, "InvalidResourceOperation", sentence(why))
}

func sentence(s string) string { return s + "." }

// usage returns how full the storage of the embedded registry is. Of other registries it says nothing.
func (h *handler) usage(known registry) map[string]any {
	if known.Host != h.Host || h.Room == nil {
		return list()
	}
	used, limit, ok := h.Room()
	if !ok {
		return list()
	}
	return list(map[string]any{"name": "Size", "limit": limit, "currentValue": used, "unit": "Bytes"})
}

// credentials answers with a token of the caller, which is valid as long as a login.
func (h *handler) credentials(w http.ResponseWriter, p access.Principal, known registry, name string) {
	if !h.ours(known) {
		writeError(w, http.StatusBadRequest, "UnAuthorizedForCredentialOperations",
			"Cannot perform credential operations for "+name+" as admin user is disabled. "+
				"Log in with a token of dray.")
		return
	}
	claims := map[string]any{"aud": h.server(known), "grant_type": "refresh_token"}
	text, ends, err := h.Access.Issue(p, refreshLife, claims)
	if err != nil {
		refuse(w, err)
		return
	}
	password := map[string]string{"name": "password", "value": text}
	w.Header().Set("X-Dray-Expires", ends.Format(time.RFC3339))
	answer(w, http.StatusOK, map[string]any{"username": p.Name, "passwords": []any{password}})
}

// tokens answers with the tokens of dray in the form of a registry's tokens. Only an admin sees those of others.
func (h *handler) tokens(
	w http.ResponseWriter, r *http.Request, p access.Principal, at scope, known registry, name []string,
) {
	tokens, err := h.Access.Tokens(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	all := []any{}
	for _, t := range tokens {
		if !p.Admin() && t.Principal != p.Name || len(name) > 0 && !strings.EqualFold(name[0], t.ID) {
			continue
		}
		status := "enabled"
		if !t.Revoked.IsZero() || t.Expires.Before(time.Now()) {
			status = "disabled"
		}
		one := child(at, known, "tokens", t.ID)
		created, expires := t.Created.UTC().Format(time.RFC3339), t.Expires.UTC().Format(time.RFC3339)
		password := map[string]string{"name": "password1", "creationTime": created, "expiry": expires}
		one["properties"] = map[string]any{
			"creationDate": created, "provisioningState": "Succeeded", "status": status,
			"scopeMapId":  at.id(known.azName) + "/scopeMaps/" + string(t.Role),
			"credentials": map[string]any{"passwords": []any{password}},
		}
		all = append(all, one)
	}
	listed(w, all, name, "There is no token with this id, or it belongs to another principal.")
}

// scopeMaps answers with the roles of tokens, in the form of the system's scope maps. The rules of the server say which
// repositories a token with a role may use.
func (h *handler) scopeMaps(w http.ResponseWriter, _ access.Principal, at scope, known registry, name []string) {
	all := []any{}
	for _, role := range []struct {
		access.Role
		does    string
		actions []string
	}{
		{access.Reader, "pulls what a rule of the server grants", []string{"content/read", "metadata/read"}},
		{access.Submitter, "imports, pulls, pushes and deletes what a rule of the server grants",
			[]string{"content/read", "content/write", "content/delete", "metadata/read", "metadata/write"}},
		{access.Admin, "may do everything, without a rule",
			[]string{"content/read", "content/write", "content/delete", "metadata/read", "metadata/write"}},
	} {
		if len(name) > 0 && !strings.EqualFold(name[0], string(role.Role)) {
			continue
		}
		repositories := []string{}
		for _, action := range role.actions {
			repositories = append(repositories, "repositories/*/"+action)
		}
		one := child(at, known, "scopeMaps", string(role.Role))
		one["properties"] = map[string]any{
			"type": "SystemDefined", "description": role.does, "actions": repositories, "provisioningState": "Succeeded",
		}
		all = append(all, one)
	}
	listed(w, all, name, "The scope maps of dray are the roles reader, submitter and admin.")
}

// child returns a resource that belongs to a registry.
func child(at scope, known registry, kind, name string) map[string]any {
	id := at.id(known.azName) + "/" + kind + "/" + name
	return map[string]any{"id": id, "name": name, "type": registryType + "/" + kind}
}

// listed answers with all or, if there is a name, with the one that it names.
func listed(w http.ResponseWriter, all []any, name []string, none string) {
	switch {
	case len(name) == 0:
		answer(w, http.StatusOK, list(all...))
	case len(all) == 0:
		writeError(w, http.StatusNotFound, "ResourceNotFound", none)
	default:
		answer(w, http.StatusOK, all[0])
	}
}

// operations answers with the operations of the resource manager that dray has.
func operations(w http.ResponseWriter) {
	all := []any{}
	for _, o := range [][3]string{
		{"registries/read", "Container Registry", "Read registries"},
		{"registries/importImage/action", "Import Image", "Import an image"},
		{"registries/listCredentials/action", "Container Registry", "List the login of the registry"},
		{"registries/listUsages/read", "Container Registry", "Read how full the registry is"},
		{"registries/tokens/read", "Token", "List tokens"},
		{"registries/scopeMaps/read", "Scope Map", "List scope maps"},
		{"locations/operationResults/read", "Operation", "Read the state of an import"},
	} {
		all = append(all, map[string]any{
			"name": namespace + "/" + o[0], "origin": "user,system",
			"display": map[string]string{"provider": "dray", "resource": o[1], "operation": o[2], "description": o[2]},
		})
	}
	answer(w, http.StatusOK, list(all...))
}
