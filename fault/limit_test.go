package fault_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/drayage/dray/fault"
)

func TestANameOfAnyLengthMakesAShortError(t *testing.T) {
	for n, want := range map[int]int{4096: 4096, 4097: 300, 1 << 20: 300} {
		err := &fault.Fault{Kind: fault.Invalid, Op: "parse name", Name: strings.Repeat("ä", n/2) + strings.Repeat("b", n%2)}
		if got := len(err.Error()); got > want+50 || got < want-50 {
			t.Errorf("%d bytes: %d bytes", n, got)
		}
	}
}

func TestTooManyOpenFilesHaveAHintWhereverTheyComeFrom(t *testing.T) {
	err := &fault.Fault{Kind: fault.Unavailable, Op: "put blob", Err: &fault.Fault{Kind: fault.Unavailable, Err: syscall.EMFILE}}
	if got := fault.HintOf(err); !strings.Contains(got, "ulimit -n") {
		t.Error(got)
	}
	if got := fault.HintOf(&fault.Fault{Kind: fault.Unavailable, Err: syscall.ENOENT}); got != "" {
		t.Error(got)
	}
}
