package measure

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/drayage/dray/event"
)

// A job may name as many registries as it likes.
func TestRegistriesBeyondAllBoundsAreCountedTogether(t *testing.T) {
	m := NewMetrics(nil, nil)
	const asked = 3 * maxHosts
	for i := range asked {
		m.Request(event.Request{Host: fmt.Sprintf("r%d.example", i), Method: "GET", Status: 200})
	}
	series := make(chan prometheus.Metric, asked)
	m.upstream.Collect(series)
	if got := len(series); got != maxHosts+1 {
		t.Errorf("%d series for %d registries", got, asked)
	}
}
