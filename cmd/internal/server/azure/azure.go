// Package azure puts together what Azure's clients reach at a server: the resource manager and the data plane of its own
// registry.
package azure

import (
	"context"
	"database/sql"
	"net/http"
	"strings"
	"time"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/acr"
	"github.com/drayage/dray/cmd/internal/arm"
	"github.com/drayage/dray/cmd/internal/server/door"
	"github.com/drayage/dray/cmd/internal/server/gate"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/internal/registry"
)

// Config is what New needs.
type Config struct {
	ARM      arm.Config // but for what the registry knows
	DB       *store.DB
	Registry *registry.Registry
}

// Mount serves the paths of Azure's clients on mux, also in upper and lower case, and answers all other paths that mux
// does not serve.
func Mount(mux *http.ServeMux, c Config) {
	c.ARM.Room = c.room
	cloud := arm.New(c.ARM)
	for _, pattern := range arm.Patterns() {
		mux.Handle(pattern, cloud)
	}
	mux.Handle("POST "+gate.TokenPath, cloud) // tools with an identity token ask here
	data := acr.Config{Access: c.ARM.Access, Audit: c.audit, Memory: c.ARM.Memory, PublicURL: c.ARM.PublicURL}
	mux.Handle(acr.Prefix, acr.New(data, c.ARM.Host, acr.Own(c.Registry, c.ARM.Host)))
	mux.HandleFunc("/", notFound(cloud))
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
