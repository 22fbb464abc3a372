package mirror

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/cmd/internal/schedule"
)

// Somebody sets the clock during a wait: the rule then runs at the times of the new clock, and within a minute if it is
// due by it. The virtual clock of the diary stays as it was.
func TestLimitClockThatIsSetMovesTheTimesOfRules(t *testing.T) {
	for days, lines := range map[int][]string{
		0:     {"1T01:00 begin hourly", "1T01:00 end hourly", "1T02:00 begin hourly", "1T02:00 end hourly"},
		1:     {"1T00:31 begin hourly", "1T00:31 end hourly", "1T00:31 overran hourly by 23", "1T01:00 begin hourly", "1T01:00 end hourly", "1T02:00 begin hourly", "1T02:00 end hourly"},
		-1:    {"1T01:00 begin hourly", "1T01:00 end hourly", "1T02:00 begin hourly", "1T02:00 end hourly"},
		-3653: {"1T01:00 begin hourly", "1T01:00 end hourly", "1T02:00 begin hourly", "1T02:00 end hourly"},
		-9000: {"1T01:00 begin hourly", "1T01:00 end hourly", "1T02:00 begin hourly", "1T02:00 end hourly"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var d diary
			set := time.Now().Add(30*time.Minute + 30*time.Second)
			clock := func() time.Time {
				now := time.Now()
				if now.Before(set) {
					return now
				}
				return now.AddDate(0, 0, days).Round(0)
			}
			watchFor(t, &d, Watch{Clock: clock}, nil, nil, 150*time.Minute, ruleOf("hourly", schedule.Spec{Cron: "@hourly"}))
			t.Logf("set by %d days", days)
			want(t, &d, lines...)
		})
	}
}
