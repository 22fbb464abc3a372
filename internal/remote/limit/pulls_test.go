package limit_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/drayage/dray/internal/remote/limit"
)

// left is an answer of Docker Hub that says that n of 3 pulls are left.
func left(method string, n int, look bool) limit.Reply {
	h := http.Header{}
	h.Set("Ratelimit-Limit", "3;w=21600")
	h.Set("Ratelimit-Remaining", strconv.Itoa(n)+";w=21600")
	return limit.Reply{Method: method, Status: http.StatusOK, Header: h, Look: look}
}

func TestALateHeadDoesNotRaiseWhatIsLeftOfPulls(t *testing.T) {
	p := limit.NewPulls("docker.io", "")
	for n := 2; n >= 0; n-- {
		p.Heed(left(http.MethodGet, n, false))
	}
	p.Heed(left(http.MethodHead, 1, false)) // it was sent before the last pull, and answered after it
	if b, _ := p.Budget(); !b.Spent() || b.Remaining != 0 || b.SpentHere != 3 {
		t.Errorf("%+v", b)
	}
	if until, _ := p.Closed(); until.IsZero() {
		t.Error("pulls go on")
	}
	p.Heed(left(http.MethodHead, 1, true))
	if b, _ := p.Budget(); b.Spent() || b.Remaining != 1 {
		t.Errorf("after a look: %+v", b)
	}
	if until, _ := p.Closed(); !until.IsZero() {
		t.Errorf("pulls wait until %v", until)
	}
}
