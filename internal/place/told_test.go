package place

import (
	"testing"

	"github.com/drayage/dray/event"
)

func TestANoteAboutARegistryIsToldOnceInARunAndInEachRun(t *testing.T) {
	told := 0
	base := &Base{}
	note := event.Event{Kind: event.Noted, Host: "r.example", Text: "it is slow"}
	for range 2 {
		s := base.Begin(nil, nil, func(event.Event) { told++ })
		s.Observe(note)
		s.Another().Observe(note)
	}
	if told != 2 {
		t.Errorf("told %d times in 2 runs", told)
	}
	other := note
	other.Text = "it is down"
	s := base.Begin(nil, nil, func(event.Event) { told++ })
	s.Observe(note)
	s.Observe(other)
	s.Observe(event.Event{Kind: event.Noted, Text: "about a name"})
	s.Observe(event.Event{Kind: event.Noted, Text: "about a name"})
	if told != 6 {
		t.Errorf("told %d notes, want 6", told)
	}
}
