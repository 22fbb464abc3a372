package temporal_test

import (
	"os"
	"strings"
	"testing"

	"github.com/drayage/dray/internal/testbed/temporal"
)

var servers temporal.Servers

func TestMain(m *testing.M) {
	code := m.Run()
	servers.End()
	os.Exit(code)
}

func TestEachTestHasANamespace(t *testing.T) {
	a, b := servers.Namespace(t), servers.Namespace(t)
	if a == b || !strings.HasPrefix(a, "temporal://127.0.0.1:") {
		t.Error(a, b)
	}
}

func TestAServerOutlivesAKill(t *testing.T) {
	s := temporal.New(t)
	s.Namespace(t)
	for _, end := range []func() error{s.Kill, s.Stop} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	s.Namespace(t)
}
