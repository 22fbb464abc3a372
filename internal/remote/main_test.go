package remote_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Nothing that a test started outlives it, but for what distribution can not stop.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/docker/go-events.(*Broadcaster).run"))
}
