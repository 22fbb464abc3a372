package remote_test

import (
	"testing"

	"go.uber.org/goleak"
)

// No goroutine that a test started outlives it, except those that distribution cannot stop.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/docker/go-events.(*Broadcaster).run"))
}
