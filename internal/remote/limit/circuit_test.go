package limit

import (
	"errors"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
)

func TestTheErrorOfAnOpenCircuitNamesTheHostAndNoOtherImage(t *testing.T) {
	var p Pulse
	since := time.Date(2026, 11, 29, 8, 47, 51, 0, time.UTC)
	p.Lost(since, &fault.Fault{Kind: fault.Unavailable, Op: "resolve", Name: "r.example/other:1", Hint: "check the network",
		Err: &fault.Fault{Kind: fault.Unavailable, Op: "reach", Err: errors.New("connection refused")}})
	err := p.Spared("r.example")
	if err == nil || err.Error() != "unavailable: r.example has not answered since 2026-11-29 08:47:51 UTC: connection refused" ||
		fault.HintOf(err) != "check the network" {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
}
