package remote

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/drayage/dray/internal/remote/wire"
)

// Granted returns the actions that r was opened for but that the token of its login does not grant,
// for example "push". It returns known = false if there is no token, or if the token does not list
// its actions. It makes a request only if no token was fetched before.
func (r *Repository) Granted(ctx context.Context) (missing []string, known bool, err error) {
	c := r.handle.Call("get a token for", http.MethodPost, "", r.handle.Repo.String())
	authz, err := r.handle.Host.Authorization(ctx, c, "")
	if err != nil {
		return nil, false, err
	}
	token, isBearer := strings.CutPrefix(authz, "Bearer ")
	if !isBearer {
		return nil, false, nil
	}
	granted, known := grantedBy(token, r.handle.Repo.Path)
	if !known {
		return nil, false, nil
	}
	_, wanted := wire.CutActions(r.handle.Access.Wanted()[0])
	for _, action := range wanted {
		if !slices.Contains(granted, action) && !slices.Contains(granted, "*") {
			missing = append(missing, action)
		}
	}
	return missing, true, nil
}

// grantedBy reads the actions on the repository at path from the access claim of a token
// (distribution's token specification §Claim Set). It returns known = false if the token has no
// such claim.
func grantedBy(token, path string) (actions []string, known bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	var claims struct {
		Access *[]struct {
			Type, Name string
			Actions    []string
		}
	}
	if err != nil || json.Unmarshal(raw, &claims) != nil || claims.Access == nil {
		return nil, false
	}
	for _, a := range *claims.Access {
		if a.Type == "repository" && a.Name == path {
			actions = append(actions, a.Actions...)
		}
	}
	return actions, true
}

// TryPush opens an upload session and cancels it, to find out whether the login may push. It leaves
// nothing behind unless left is true: then the registry rejected the cancellation, and it removes
// the session later by itself.
func (r *Repository) TryPush(ctx context.Context) (left bool, err error) {
	c := r.handle.Call("open an upload in", http.MethodPost, "/blobs/uploads/", r.handle.Repo.String())
	a, err := r.handle.Host.Do(ctx, c, http.StatusAccepted)
	if err != nil {
		return false, err
	}
	origin, err := r.handle.Host.Origin(ctx)
	if err != nil {
		return true, err
	}
	at, err := r.handle.Host.Located(origin, a.At, a.Header.Get("Location"))
	if err != nil {
		return true, c.Named(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	end := *c
	// Some registries require the right to delete for this. Their 401 says so, and the next token
	// covers it.
	end.Op, end.Method, end.URL = "cancel the upload in", http.MethodDelete, at
	_, err = r.handle.Host.Do(ctx, &end, http.StatusOK, http.StatusAccepted, http.StatusNoContent, http.StatusNotFound)
	return err != nil, nil
}
