// Package azure puts together what Azure's clients reach at a server: the resource manager, the data plane of its own
// registry, and that of configured registries under names of the server.
package azure

import (
	"context"
	"database/sql"
	"net/http"
	"strings"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/acr"
	"github.com/drayage/dray/cmd/internal/arm"
	"github.com/drayage/dray/cmd/internal/relay"
	"github.com/drayage/dray/cmd/internal/server/door"
	"github.com/drayage/dray/cmd/internal/server/gate"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/registry"
	"github.com/drayage/dray/internal/remote"
)

// Config is what Mount needs.
type Config struct {
	ARM      arm.Config // but for what the registry knows
	DB       *store.DB
	Registry *registry.Registry

	Vault  *access.Vault // seals the addresses of uploads
	Client *Client       // reaches the configured registries
}

// Mount serves the paths of Azure's clients on mux, also in upper and lower case, and answers all other paths that mux
// does not serve. It returns mux or, if registries have names of the server, what serves these names and mux.
func Mount(mux *http.ServeMux, c Config) http.Handler {
	c.ARM.Room = c.room
	cloud := arm.New(c.ARM)
	for _, pattern := range arm.Patterns() {
		mux.Handle(pattern, cloud)
	}
	mux.Handle("POST "+gate.TokenPath, cloud) // tools with an identity token ask here
	data := acr.Config{Access: c.ARM.Access, Audit: c.audit, Memory: c.ARM.Memory, PublicURL: c.ARM.PublicURL}
	mux.Handle(acr.Prefix, acr.New(data, c.ARM.Host, acr.Own(c.Registry, c.ARM.Host)))
	mux.HandleFunc("/", notFound(cloud))
	if c.ARM.Suffix == "" {
		return mux
	}
	return c.named(mux, cloud)
}

// named serves each registry under its name below Suffix, and below the path /registries/NAME/. All other requests go
// to rest.
func (c Config) named(rest, tokens http.Handler) http.Handler {
	byName := map[string]http.Handler{}
	for name, host := range c.ARM.Names() {
		of := relay.Config{
			Access: c.ARM.Access, Audit: c.audit, Client: c.Client, Seal: c.Vault.Seal, Open: c.Vault.Open,
			Memory: c.ARM.Memory, Tokens: tokens,
		}
		if scheme, _, ok := strings.Cut(c.ARM.PublicURL, "://"); ok {
			of.PublicURL = scheme + "://" + name + "." + c.ARM.Suffix
		}
		byName[name] = relay.New(of, host)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, below := arm.NameOf(r.Host, c.ARM.Suffix)
		if path, ok := strings.CutPrefix(r.URL.Path, pathPrefix); ok && !below {
			var tail string
			name, tail, _ = strings.Cut(path, "/")
			name = strings.ToLower(name)
			r = r.Clone(r.Context())
			r.Host, r.URL.Path, r.URL.RawPath, below = name+"."+c.ARM.Suffix, "/"+tail, "", true
		}
		switch registry := byName[name]; {
		case !below:
			rest.ServeHTTP(w, r)
		case registry == nil:
			acr.Refuse(w, http.StatusNotFound, "NAME_UNKNOWN", "no registry is configured under this name")
		default:
			registry.ServeHTTP(w, r)
		}
	})
}

// pathPrefix is that of the paths of registries, for clients whose endpoint may have a path.
const pathPrefix = "/registries/"

// Client reaches the configured registries.
type Client = remote.Client

// NewClient returns a Client with the logins, settings and limits of the jobs.
func NewClient(d dray.Config, in place.Inside) (*Client, error) {
	hosts := map[string]credential.Settings{}
	for _, r := range d.Registries {
		hosts[r.Host] = r.Settings
	}
	l := d.Limits
	return remote.New(remote.Options{
		Logins: d.Logins, Hosts: hosts, Default: d.Settings, UserAgent: d.UserAgent, Dial: d.Dial,
		Proxied: in.Proxied, SignIn: in.SignIn, Draw: in.Draw,
		Connections: l.Connections, Retries: l.Retries, Stall: l.Stall, FirstByte: l.FirstByte, MaxWait: l.MaxWait,
	})
}

// room returns how much of the storage is used, and its size.
func (c Config) room() (used, limit int64, ok bool) {
	state := c.Registry.State()
	return state.Room.Total - state.Room.Free, state.Room.Total, state.Known
}

// audit writes e to the audit log. The end of a request does not interrupt it.
func (c Config) audit(ctx context.Context, e access.Entry) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTime)
	defer cancel()
	return c.DB.Tx(ctx, func(tx *sql.Tx) error { return c.ARM.Access.Audit(ctx, tx, e) })
}

const auditTime = 10 * time.Second // the longest wait for the database

// notFound handles a path that no pattern matches. It passes the paths of Azure's API on, because
// Azure's clients write them in upper or lower case.
func notFound(cloud http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		for _, pattern := range arm.Patterns() {
			if strings.EqualFold(first, strings.Trim(strings.Split(pattern, "/")[1], "/")) {
				cloud.ServeHTTP(w, r)
				return
			}
		}
		door.Plain(w, http.StatusNotFound, "404: no such path")
	}
}
