package storm_test

import (
	"testing"

	"go.uber.org/goleak"
)

// No goroutine of a test may be left at the end, except for the ones that distribution cannot stop.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/docker/go-events.(*Broadcaster).run"))
}
