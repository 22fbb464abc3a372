package flag

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/fault"
)

func TestTheNearestNameIsOfferedAndNoFarOne(t *testing.T) {
	names := []string{"import", "copy", "tag", "ls", "inspect", "digest"}
	for typed, want := range map[string]string{"imprt": "import", "cp": "", "coppy": "copy", "tags": "tag", "insp": "inspect", "transmogrify": ""} {
		if got := nearest(typed, names); got != want {
			t.Errorf("%s: %q, want %q", typed, got, want)
		}
	}
}

func TestANumberThatWouldSilentlyBeTheDefaultIsRefused(t *testing.T) {
	for args, want := range map[string]time.Duration{
		"":                    10 * time.Minute,
		"--max-wait 2s":       2 * time.Second,
		"--max-wait 0":        1, // as good as no wait; 0 would be the default
		"--max-wait -1s":      -1,
		"--retries 0":         -1,
		"--concurrency -3":    -1,
		"--stall-timeout 0":   -1,
		"--stall-timeout 1ms": 10 * time.Minute,
	} {
		var c Common
		cmd := &cobra.Command{Use: "x", RunE: RefuseUseless, SilenceErrors: true, SilenceUsage: true}
		c.AddRegistryTo(cmd.Flags(), Copies)
		cmd.SetArgs(strings.Fields(args))
		err := cmd.Execute()
		got := c.MaxWait
		if fault.Is(err, fault.Invalid) {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %d, want %d", args, got, want)
		}
	}
}
