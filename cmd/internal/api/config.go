package api

import (
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/verb"
	"github.com/drayage/dray/cmd/internal/wire"
)

// Config is what New needs: Verb, Queue and Access are required.
type Config struct {
	Verb       *verb.Service
	Queue      *job.Queue
	Access     *access.Access
	Registries []wire.Registry // that are configured
	Version    string          // of dray, for /whoami

	// Authenticate finds who asks; nil is Access.Authenticate.
	Authenticate func(*http.Request) (access.Principal, error)

	Streams *access.Places // of events that one may watch at a time; nil is any number
	Held    *access.Places // answers that are held for one at a time; nil is any number

	Heartbeat time.Duration // between comments in a silent stream of events; 0 is 15 s
	Patience  time.Duration // for a client that does not read what is streamed; 0 is 30 s
}

type api struct {
	Config
	huma huma.API
}
