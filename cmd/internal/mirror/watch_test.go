package mirror

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/schedule"
)

// diary records what a Watch does. Time begins at midnight UTC on 1 January 2000, a Saturday.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) addf(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, time.Now().UTC().Format("2T15:04 ")+fmt.Sprintf(format, args...))
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, "\n")
}

func ruleOf(name string, spec schedule.Spec) config.Mirror {
	return config.Mirror{Name: name, Spec: spec}
}

// watchFor runs a Watch for some virtual time. takes says how long the run of each rule lasts.
func watchFor(t *testing.T, d *diary, w Watch, takes map[string]time.Duration, reload <-chan []config.Mirror, forTime time.Duration, rules ...config.Mirror) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), forTime)
	defer cancel()
	w.Run = func(ctx context.Context, rule config.Mirror) {
		d.addf("begin %s", rule.Name)
		select {
		case <-time.After(takes[rule.Name]):
			d.addf("end %s", rule.Name)
		case <-ctx.Done():
			d.addf("stopped %s", rule.Name)
		}
	}
	tell := w.Tell
	w.Tell = func(f Firing) {
		switch f.Kind {
		case Overran:
			d.addf("overran %s by %d", f.Rule, f.N)
		case Waits, Gone:
			d.addf("%s %s", f.Kind, f.Rule)
		}
		if tell != nil {
			tell(f)
		}
	}
	w.Until(ctx, rules, reload)
}

func want(t *testing.T, d *diary, lines ...string) {
	t.Helper()
	if got, want := d.String(), strings.Join(lines, "\n"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestEachRuleRunsAtItsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		watchFor(t, &d, Watch{}, nil, nil, 26*time.Hour,
			ruleOf("berlin", schedule.Spec{Cron: "30 2 * * *", TimeZone: "Europe/Berlin"}),
			ruleOf("noon", schedule.Spec{Cron: "0 12 * * *"}),
			ruleOf("often", schedule.Spec{Every: "8h"}), ruleOf("never", schedule.Spec{}), config.Mirror{Name: "paused", Paused: true, Spec: schedule.Spec{Cron: "@hourly"}})
		want(t, &d, "1T00:00 begin often", "1T00:00 end often", "1T01:30 begin berlin", "1T01:30 end berlin", "1T08:00 begin often", "1T08:00 end often",
			"1T12:00 begin noon", "1T12:00 end noon", "1T16:00 begin often", "1T16:00 end often",
			"2T00:00 begin often", "2T00:00 end often", "2T01:30 begin berlin", "2T01:30 end berlin")
	})
}

func TestARuleNeverRunsTwiceAtOnceAndReportsSkippedTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		watchFor(t, &d, Watch{}, map[string]time.Duration{"slow": 150 * time.Minute}, nil, 8*time.Hour, ruleOf("slow", schedule.Spec{Cron: "@hourly"}))
		want(t, &d, "1T01:00 begin slow", "1T03:30 end slow", "1T03:30 overran slow by 2", "1T04:00 begin slow", "1T06:30 end slow", "1T06:30 overran slow by 2", "1T07:00 begin slow", "1T08:00 stopped slow")
	})
}

func TestRulesWaitWhileParallelOthersRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		all := map[string]time.Duration{"a": time.Hour, "b": time.Hour, "c": time.Minute}
		var rules []config.Mirror
		for _, name := range []string{"a", "b", "c"} {
			rules = append(rules, ruleOf(name, schedule.Spec{Cron: "0 6 * * *"}))
		}
		watchFor(t, &d, Watch{Parallel: 1}, all, nil, 12*time.Hour, rules...)
		got := d.String()
		if !strings.Contains(got, "6:00 begin a") || !strings.Contains(got, "waits b") || strings.Count(got, "begin") != 3 || strings.Count(got, "end") != 3 || !strings.Contains(got, "8:01 end c") && !strings.Contains(got, "8:01 end b") {
			t.Error(got)
		}
	})
}

func TestJitterDelaysARunAndKeepsTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		rule := ruleOf("x", schedule.Spec{Cron: "0 6 * * *"})
		rule.Jitter = config.Duration(10 * time.Minute)
		watchFor(t, &d, Watch{Rand: func(most time.Duration) time.Duration { return most / 2 }}, nil, nil, 31*time.Hour, rule)
		want(t, &d, "1T06:05 begin x", "1T06:05 end x", "2T06:05 begin x", "2T06:05 end x")
	})
}

func TestNewRulesReplaceTheOldOnesAndARunInProgressContinues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		reload := make(chan []config.Mirror)
		go func() {
			time.Sleep(90 * time.Minute)
			d.addf("new rules")
			reload <- []config.Mirror{ruleOf("slow", schedule.Spec{Cron: "15 * * * *"}), ruleOf("added", schedule.Spec{Cron: "0 2 * * *"})}
		}()
		watchFor(t, &d, Watch{}, map[string]time.Duration{"slow": 40 * time.Minute, "dropped": time.Hour}, reload, 4*time.Hour,
			ruleOf("slow", schedule.Spec{Cron: "@hourly"}), ruleOf("dropped", schedule.Spec{Cron: "50 * * * *"}))
		want(t, &d, "1T00:50 begin dropped", "1T01:00 begin slow", "1T01:30 new rules", "1T01:30 gone dropped", "1T01:40 end slow",
			"1T01:50 end dropped", "1T02:00 begin added", "1T02:00 end added", "1T02:15 begin slow", "1T02:55 end slow", "1T03:15 begin slow", "1T03:55 end slow")
	})
}

func TestAnIntervalCountsFromThePreviousRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		last := time.Now().Add(-4 * time.Hour)
		watchFor(t, &d, Watch{Last: func(string) time.Time { return last }}, nil, nil, 9*time.Hour, ruleOf("x", schedule.Spec{Every: "6h"}))
		want(t, &d, "1T02:00 begin x", "1T02:00 end x", "1T08:00 begin x", "1T08:00 end x")
	})
}
