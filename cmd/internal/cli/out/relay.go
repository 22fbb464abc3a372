package out

import (
	"sync/atomic"

	"github.com/drayage/dray/event"
)

// Relay tells the story that runs of requests to registries: the Dray that sends them is older than
// the story. A nil Relay tells nobody.
type Relay struct {
	told atomic.Pointer[func(event.Request)]
}

func (r *Relay) set(tell func(event.Request)) {
	if r != nil {
		r.told.Store(&tell)
	}
}

// Request tells of one request.
func (r *Relay) Request(q event.Request) {
	if tell := r.told.Load(); tell != nil {
		(*tell)(q)
	}
}
