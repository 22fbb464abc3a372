package cli

import (
	"strings"
	"testing"

	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/testbed"
)

func TestTheLastLineNamesReferrersThatTheSourceDoesNotList(t *testing.T) {
	mute := func() []*hostile.Fault {
		return []*hostile.Fault{hostile.Error(403, "DENIED", "no right to list").On("GET", testbed.Referrer)}
	}
	code, _, story := copied(t, nil, mute())
	lines := strings.Split(strings.TrimSpace(story), "\n")
	if last := lines[len(lines)-1]; code != 0 || !strings.Contains(last, "referrers of 1 image not read, which the source does not list") {
		t.Errorf("%d %s", code, story)
	}
	if code, _, story := copied(t, nil, mute(), "--referrers=require"); code != 4 || !strings.Contains(story, "no right to list") {
		t.Errorf("required: %d %s", code, story)
	}
}
