package migrate

import (
	"strings"
	"testing"

	"github.com/drayage/dray/report"
)

func TestNotesStayBounded(t *testing.T) {
	s := newSumming("transfer")
	const maxNotes = report.MaxNotes
	for i := range 2 * maxNotes {
		s.notef("tag %d", i/2)
		s.notef("tag %d", i)
	}
	if n := len(s.sum.Notes); n != maxNotes+1 || !strings.Contains(s.sum.Notes[maxNotes], "left out") {
		t.Errorf("%d notes, the last %q", n, s.sum.Notes[n-1])
	}
}
