package api

import (
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/memory"
	"github.com/drayage/dray/cmd/internal/verb"
	"github.com/drayage/dray/cmd/internal/wire"
)

// Config holds what New needs. Verb, Queue and Access are required.
type Config struct {
	Verb       *verb.Service
	Queue      *job.Queue
	Access     *access.Access
	Registries wire.Registries // the configured registries
	Version    string          // the version of dray, for /whoami

	// Authenticate returns the principal of a request; nil means Access.Authenticate.
	Authenticate func(*http.Request) (access.Principal, error)

	Streams *access.Places // limits the event streams that a principal has open; nil means no limit
	Held    *access.Places // limits the answers that are held for a principal; nil means no limit
	Uploads *access.Places // limits the plans that a principal uploads at the same time; nil means no limit
	Memory  *memory.Budget // of what clients send; nil means one that the API has alone

	Heartbeat time.Duration // between comments in an event stream without events; 0 means 15 s
	Patience  time.Duration // for one write to a client that does not read its stream; 0 means 30 s
}

// api is the Config with the huma.API that the operations are registered with.
type api struct {
	Config
	huma huma.API
}
