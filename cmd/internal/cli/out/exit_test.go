package out

import (
	"testing"

	"github.com/drayage/dray/fault"
)

func TestEveryKindHasTheExitCodeOfTheTable(t *testing.T) {
	want := map[fault.Kind]int{
		fault.Invalid: 2, fault.NotFound: 3, fault.Denied: 4, fault.Conflict: 1, fault.Moved: 5, fault.Refused: 8, fault.TooLarge: 1,
		fault.Full: 1, fault.Throttled: 75, fault.Unavailable: 1, fault.Corrupt: 1, fault.Canceled: 130, fault.Internal: 1,
	}
	for kind, code := range want {
		if got := ExitCode(&fault.Fault{Kind: kind}); got != code {
			t.Errorf("%s: %d, want %d", kind, got, code)
		}
	}
	denied, missing := &fault.Fault{Kind: fault.Denied}, &fault.Fault{Kind: fault.NotFound}
	for _, tt := range []struct {
		succeeded int
		failures  []error
		want      int
	}{
		{3, nil, 0},
		{0, []error{denied, denied}, 4},
		{0, []error{denied, missing}, 1},
		{1, []error{denied}, 6},
	} {
		if got := ExitOf(tt.succeeded, tt.failures); got != tt.want {
			t.Errorf("%d succeeded, failures %v: %d, want %d", tt.succeeded, tt.failures, got, tt.want)
		}
	}
}

func TestAnErrorIsOneLineWhateverARegistryAnswers(t *testing.T) {
	err := &fault.Fault{Kind: fault.Denied, Side: fault.Target, Op: "put", Name: "a/b:c", Hint: "log in",
		Err: &fault.Fault{Kind: fault.Denied, Op: "x\r\ny", Name: "\x1b[2J\x07"}}
	if got, want := ErrorLine(err), "dray: target: put a/b:c: x  y \\u001b[2J\\u0007: denied (hint: log in)"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
