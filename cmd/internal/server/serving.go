package server

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/server/certificate"
	"github.com/drayage/dray/cmd/internal/server/door"
	"github.com/drayage/dray/cmd/internal/server/guest"
)

// serving holds the listeners and the worker of one process, which start and stop together.
type serving struct {
	*parts
	streams  *guest.Streams
	held     *access.Places // the held answers of both APIs: REST and Azure's
	stopping atomic.Bool
	working  atomic.Bool // the worker is running
	servers  []*http.Server
	main     *door.Door         // before the requests of clients
	ops      *door.Door         // before those of operators
	certs    *certificate.Files // nil without TLS
	opsAddr  net.Addr           // the address of the listener for operators; nil without one
	failed   chan error         // an error of a listener or the worker, which ends the process
	workCtx  context.Context
	stopWork context.CancelFunc
	running  sync.WaitGroup
}
