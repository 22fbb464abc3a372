package out

import (
	"sync/atomic"

	"github.com/drayage/dray/event"
)

// Relay passes HTTP requests on to the current story. It exists because the Dray that sends the requests is
// made before the story. A nil Relay passes on nothing.
type Relay struct {
	told atomic.Pointer[func(event.Request)]
}

func (r *Relay) set(tell func(event.Request)) {
	if r != nil {
		r.told.Store(&tell)
	}
}

// Request passes one request on.
func (r *Relay) Request(q event.Request) {
	if tell := r.told.Load(); tell != nil {
		(*tell)(q)
	}
}
