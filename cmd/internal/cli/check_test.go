package cli

import (
	"testing"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/config"
)

func TestWhatAPushMayCreateReachesTheClient(t *testing.T) {
	for in, want := range map[config.Create]dray.Create{"": "", config.CreatePrivate: "private", config.CreatePublic: "public"} {
		if got := settings(config.Registry{Create: in}).Create; got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
}
