package place

import (
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/report"
)

// Traffic counts what is exchanged with registries, and the pulls among it. It is safe for
// concurrent use.
type Traffic struct {
	mu     sync.Mutex
	hosts  map[string]report.Traffic
	pulled map[string]int // manifests read, by host
}

// NewTraffic counts from zero.
func NewTraffic() *Traffic {
	return &Traffic{hosts: map[string]report.Traffic{}, pulled: map[string]int{}}
}

// Request counts an exchange.
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

// Event counts what is tried again. What has no host is a layout's.
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

// Exchanged is what was exchanged so far, by registry host.
func (t *Traffic) Exchanged() map[string]report.Traffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.hosts)
}

// Pulls says what each registry with a pull limit has left, of those that were asked.
func (t *Traffic) Pulls(b *Base) map[string]report.Pulls {
	t.mu.Lock()
	defer t.mu.Unlock()
	return b.pulls(t.pulled)
}

// pullsIn is how many pulls an exchange is, at a registry that counts them.
func pullsIn(q event.Request) int {
	if q.Method == http.MethodGet && q.Status == http.StatusOK && strings.Contains(q.URL, "/manifests/") {
		return 1
	}
	return 0
}
