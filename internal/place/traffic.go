package place

import (
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/report"
)

// Traffic counts the requests, bytes, retries and pulls at each registry. It is safe for
// concurrent use.
type Traffic struct {
	mu     sync.Mutex
	hosts  map[string]report.Traffic
	pulled map[string]int // manifests that were read, by host
}

// NewTraffic returns a Traffic with all counts at zero.
func NewTraffic() *Traffic {
	return &Traffic{hosts: map[string]report.Traffic{}, pulled: map[string]int{}}
}

// Request counts one exchange with a registry.
func (t *Traffic) Request(q event.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.hosts[q.Host]
	h.Requests++
	h.Sent += q.Sent
	h.Received += q.Received
	t.hosts[q.Host] = h
	t.pulled[q.Host] += pullsIn(q)
}

// Event counts the retries. An event without a host comes from a layout and is not counted.
func (t *Traffic) Event(e event.Event) {
	if e.Kind != event.Retried || e.Host == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.hosts[e.Host]
	h.Retries++
	t.hosts[e.Host] = h
}

// Exchanged returns the traffic so far, by registry host.
func (t *Traffic) Exchanged() map[string]report.Traffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.hosts)
}

// Pulls returns the state of the pull limit of each registry that has one and was asked for
// manifests.
func (t *Traffic) Pulls(b *Base) map[string]report.Pulls {
	t.mu.Lock()
	defer t.mu.Unlock()
	return b.pulls(t.pulled)
}

// pullsIn returns how many pulls an exchange counts as, at a registry that counts pulls.
func pullsIn(q event.Request) int {
	if q.Method == http.MethodGet && q.Status == http.StatusOK && strings.Contains(q.URL, "/manifests/") {
		return 1
	}
	return 0
}
