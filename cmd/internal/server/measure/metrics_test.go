package measure

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/drayage/dray/event"
)

// Jobs may name any number of registries.
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
