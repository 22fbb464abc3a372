package acr

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/drayage/dray/cmd/internal/access"
)

// Prefix is the prefix of all paths of the data plane.
const Prefix = "/acr/v1/"

// The verbs that the rules must grant.
const (
	verbPull   = "pull"
	verbPush   = "push"
	verbDelete = "delete"
)

// Challenge returns the value of WWW-Authenticate for a 401. It names the token endpoint for Azure's and docker's
// clients. base is the URL of the server for the client; scope may be "".
func Challenge(base, scope string) string {
	host := base
	if u, err := url.Parse(base); err == nil {
		host = u.Host
	}
	// az splits the value at spaces and commas, so the challenge of /v2/, which has no scope, may contain neither.
	text := `Bearer realm="` + base + `/oauth2/token",service="` + host + `"`
	if scope != "" {
		text += `,scope="` + scope + `"`
	}
	return text
}

// Scope returns the scope that a request needs, or "" if it needs none: distribution v3, "Token Scope Documentation",
// and the words of Azure's registries for metadata. Azure's SDKs cannot ask for a token without it.
func Scope(r *http.Request) string {
	if rest, ok := strings.CutPrefix(r.URL.Path, Prefix); ok {
		if rest == "_catalog" || strings.HasPrefix(rest, "_deleted") {
			return catalogScope
		}
		actions := map[string]string{http.MethodPatch: "metadata_write", http.MethodDelete: "delete"}[r.Method]
		if actions == "" {
			actions = "metadata_read"
		}
		return repositoryScope(parse(rest).repo, actions)
	}
	rest, _ := strings.CutPrefix(r.URL.Path, "/v2/")
	if rest == "_catalog" {
		return catalogScope
	}
	for _, part := range []string{"/manifests/", "/blobs/", "/tags/", "/referrers/"} {
		i := strings.LastIndex(rest, part)
		if i <= 0 {
			continue
		}
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			return repositoryScope(rest[:i], "pull")
		case http.MethodDelete:
			return repositoryScope(rest[:i], "delete")
		}
		return repositoryScope(rest[:i], "pull,push")
	}
	return ""
}

const catalogScope = "registry:catalog:*"

// repositoryScope returns a scope, or "" if repo could end the quotes around it.
func repositoryScope(repo, actions string) string {
	if repo == "" || strings.Trim(repo, "abcdefghijklmnopqrstuvwxyz0123456789._-/") != "" {
		return ""
	}
	return "repository:" + repo + ":" + actions
}

// FallsBack reports whether r has a token of a login as a password. az sends that, as the password of the registry's
// admin user, if it gets no token for a scope. A refusal is a 401 then, which it shows at once: it repeats a request
// that gets a 403 for 15 seconds.
func FallsBack(r *http.Request) bool {
	_, password, basic := r.BasicAuth()
	return basic && strings.Count(password, ".") == 2
}

// Granted returns what of scope, such as "repository:app:pull,push", the rules grant p at the registry host. known is
// false for a scope of another type than repository and registry.
func Granted(
	a *access.Access, p access.Principal, host, scope string,
) (kind, name string, actions []string, known bool) {
	kind, rest, _ := strings.Cut(scope, ":")
	i := strings.LastIndexByte(rest, ':')
	if i < 0 {
		return "", "", nil, false
	}
	name = rest[:i]
	for action := range strings.SplitSeq(rest[i+1:], ",") {
		switch {
		case kind == "registry": // a list has only what the principal may pull
			actions = append(actions, action)
		case kind == "repository" && grants(a, p, host+"/"+name, action):
			actions = append(actions, action)
		}
	}
	if kind == "repository" && lacksMain(rest[i+1:], actions) {
		actions = nil
	}
	return kind, name, actions, kind == "registry" || kind == "repository"
}

// lacksMain reports whether granted lacks what az asks the rest for: before it deletes or locks something, it reads it.
func lacksMain(asked string, granted []string) bool {
	for _, main := range []string{"delete", "metadata_write"} {
		if slices.Contains(strings.Split(asked, ","), main) && !slices.Contains(granted, main) {
			return true
		}
	}
	return false
}

func grants(a *access.Access, p access.Principal, place, action string) bool {
	may := func(verb, source, target, write string) bool {
		return a.Allow(p, access.Ask{Verb: verb, Source: source, Target: target, Write: write}) == nil
	}
	push := func() bool {
		return may(verbPush, "", place, access.Create) || may(verbPush, "", place, access.Overwrite)
	}
	switch action {
	case "pull": // a push first checks what is there
		return may(verbPull, place, "", "") || push()
	case "metadata_read", "deleted_read":
		return may(verbPull, place, "", "")
	case "push":
		return push()
	case "delete":
		return may(verbDelete, "", place, access.Delete)
	case "metadata_write":
		return may(verbPush, "", place, access.Overwrite) && may(verbDelete, "", place, access.Delete)
	}
	return false
}

// at is what a path names: a list or one entry of it in a repository.
type at struct {
	repo string
	list string // "_tags", "_manifests" or ""
	name string // the tag or the digest; "" means the list
}

// parse reads what a path names. Names are not checked.
func parse(rest string) at {
	a := at{repo: rest}
	for _, list := range []string{"_tags", "_manifests"} {
		before, after, found := strings.Cut(rest, "/"+list)
		if found && (after == "" || after[0] == '/') {
			a = at{repo: before, list: list, name: strings.TrimPrefix(after, "/")}
		}
	}
	return a
}
