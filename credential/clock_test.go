package credential

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/fault"
)

// The clock of a cloud may be a day or ten years away from that of this machine. A login is neither kept for years nor
// fetched for each request.
func TestLimitClockThatDiffersKeepsALoginForMinutesToHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for days, want := range map[int]time.Duration{0: 45 * time.Minute, 1: 12 * time.Hour, -1: time.Minute, 3650: 12 * time.Hour, -3650: time.Minute, -10957: time.Minute} {
			ends := time.Now().Add(time.Hour).AddDate(0, 0, days)
			got := time.Until(token{ends: ends}.good(Login{}).until)
			if got != want {
				t.Errorf("%d days: %v, want %v", days, got, want)
			}
		}
	})
}

func TestLimitClockThatACloudRefusesIsNamed(t *testing.T) {
	for _, off := range []time.Duration{0, 4 * time.Minute, 24 * time.Hour, -24 * time.Hour, 10 * 365 * 24 * time.Hour} {
		err := question{who: "AWS"}.refused(reply{status: 403, header: http.Header{"Date": {time.Now().Add(-off).UTC().Format(http.TimeFormat)}}})
		if hint := fault.HintOf(err); strings.Contains(hint, "set the clock of this machine") != (off.Abs() > maxSkew) {
			t.Errorf("%v: %s", off, hint)
		}
	}
}
