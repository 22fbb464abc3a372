package beside

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/drayage/dray/internal/testbed"
)

// PullLimit counts pulls as Docker Hub does: a GET of a manifest is a pull, a HEAD is free, and
// each response about manifests has headers with the rest. It is safe for concurrent use.
type PullLimit struct {
	Limit  int
	Window time.Duration
	Source string // "" means "192.0.2.1"
	Quiet  bool   // send no headers with the rest, only a 429 when the limit is reached

	mu   sync.Mutex
	used int
	ends time.Time
}

// Used returns how many pulls were counted in the current window.
func (p *PullLimit) Used() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

// Front is a value for testbed.Options.Front.
func (p *PullLimit) Front(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		reads := req.Method == http.MethodGet || req.Method == http.MethodHead
		if testbed.Parse(req.URL.Path).Kind != testbed.Manifest || !reads {
			next.ServeHTTP(w, req)
			return
		}
		left, ok := p.take(req.Method)
		if !p.Quiet {
			source := p.Source
			if source == "" {
				source = "192.0.2.1"
			}
			seconds := int(p.Window.Seconds())
			w.Header().Set("Ratelimit-Limit", fmt.Sprintf("%d;w=%d", p.Limit, seconds))
			w.Header().Set("Ratelimit-Remaining", fmt.Sprintf("%d;w=%d", left, seconds))
			w.Header().Set("Docker-Ratelimit-Source", source)
		}
		if !ok {
			testbed.Refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS",
				"You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit")
			return
		}
		next.ServeHTTP(w, req)
	})
}

func (p *PullLimit) take(method string) (left int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.ends.IsZero() || now.After(p.ends) {
		p.used, p.ends = 0, now.Add(p.Window)
	}
	if method == http.MethodHead {
		return p.Limit - p.used, true
	}
	if p.used == p.Limit {
		return 0, false
	}
	p.used++
	return p.Limit - p.used, true
}

// Refill begins a new window at once.
func (p *PullLimit) Refill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used, p.ends = 0, time.Now().Add(p.Window)
}
