package verb

import (
	"slices"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

func TestARequestForTooManyPairsOfSourcesAndTargetsIsRefused(t *testing.T) {
	many := slices.Repeat([]string{"a.example/team/"}, 200)
	for _, e := range []wire.Ends{
		{Sources: many, Target: "b.example", Also: many},
		{Sources: many, Target: "b.example", Prefer: many},
	} {
		if _, err := buildEnds(e, time.Time{}); !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
			t.Errorf("%v", err)
		}
	}
	if _, err := buildEnds(wire.Ends{Sources: many, Target: "b.example", Also: many[:10]}, time.Time{}); err != nil {
		t.Errorf("200 sources with 11 targets: %v", err)
	}
}
