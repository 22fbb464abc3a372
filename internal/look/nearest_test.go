package look_test

import (
	"strings"
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/yard"
)

func TestEveryLookAtAMissingTagNamesTheNearest(t *testing.T) {
	y := yard.New(t)
	y.Tagged("app", "v1")
	req := dray.LookRequest{Name: "src/app:v9"}
	_, metadata := y.Dray.Metadata(t.Context(), req, nil)
	_, referrers := y.Dray.Referrers(t.Context(), req, nil)
	for verb, err := range map[string]error{"metadata": metadata, "referrers": referrers} {
		if !fault.Is(err, fault.NotFound) || !strings.Contains(fault.HintOf(err), "tags") {
			t.Errorf("%s: %v (hint: %s)", verb, err, fault.HintOf(err))
		}
	}
}
