package store_test

import (
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

func TestADatabaseThatIsDownIsSaidOnceAndWithTheNextStep(t *testing.T) {
	_, err := store.Open(t.Context(), "postgres://dray@127.0.0.1:1/jobs")
	if !fault.Is(err, fault.Unavailable) || strings.Count(err.Error(), "connection refused") != 1 || strings.Contains(err.Error(), "failed to connect") ||
		!strings.HasPrefix(fault.HintOf(err), "check that PostgreSQL is running") {
		t.Errorf("%v (hint: %s)", err, fault.HintOf(err))
	}
}
