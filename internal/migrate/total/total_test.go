package total

import (
	"strings"
	"testing"

	"github.com/drayage/dray/report"
)

func TestNotesStayBounded(t *testing.T) {
	s := New("transfer")
	const maxNotes = report.MaxNotes
	for i := range 2 * maxNotes {
		s.Notef("tag %d", i/2)
		s.Notef("tag %d", i)
	}
	if n := len(s.Sum.Notes); n != maxNotes+1 || !strings.Contains(s.Sum.Notes[maxNotes], "left out") {
		t.Errorf("%d notes, the last %q", n, s.Sum.Notes[n-1])
	}
}
