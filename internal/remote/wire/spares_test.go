package wire

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestAConnectionThatWaitedTooLongIsClosedAndNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s spares
		ours, theirs := net.Pipe()
		defer theirs.Close()
		s.fill(t.Context(), func(context.Context) (net.Conn, error) { return ours, nil })
		time.Sleep(warmFor + 1)
		if s.take(t.Context()) != nil {
			t.Error("it is taken")
		}
		if _, err := ours.Write(nil); err == nil {
			t.Error("it is open")
		}
	})
}

func TestWhoGivesUpWaitingForAConnectionLeavesItToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s spares
		ours, theirs := net.Pipe()
		defer theirs.Close()
		s.fill(t.Context(), func(context.Context) (net.Conn, error) {
			time.Sleep(time.Second)
			return ours, nil
		})
		brief, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if s.take(brief) != nil {
			t.Error("take returned a connection before one was dialed")
		}
		for range warmed {
			if s.take(t.Context()) != ours {
				t.Error("it is lost")
			}
		}
		if s.take(t.Context()) != nil {
			t.Error("take returned more connections than were dialed")
		}
	})
}
