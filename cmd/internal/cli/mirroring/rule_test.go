package mirroring

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/drayage/dray/cmd/internal/mirror"
)

func TestARuleThatAnInterruptStopsIsNotCalledFailed(t *testing.T) {
	r := mirror.StoppedResult("s", time.Now(), errors.New("interrupt signal received"))
	got := strings.Join(ruleLines(r), "\n")
	if !strings.HasPrefix(got, "s: interrupted\ns: stopped") || strings.Contains(got, "failed") || strings.Contains(got, "signal") {
		t.Errorf("%s", got)
	}
}
