package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// dated is a ResponseWriter that records the deadlines for reading.
type dated struct {
	*httptest.ResponseRecorder
	read []time.Time
}

func (d *dated) SetReadDeadline(t time.Time) error { d.read = append(d.read, t); return nil }

func TestABodyHasTheDeadlineOfItsHandlerHoweverOftenItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &dated{ResponseRecorder: httptest.NewRecorder()}
		p := &pace{ResponseController: http.NewResponseController(w), stall: time.Minute}
		answer, body := &pacedAnswer{w, p}, &pacedBody{io.NopCloser(strings.NewReader("abcd")), p}
		until := time.Now().Add(90 * time.Second)
		if err := http.NewResponseController(answer).SetReadDeadline(until); err != nil {
			t.Fatal(err)
		}
		for _, want := range []time.Duration{60 * time.Second, 90 * time.Second, 90 * time.Second} {
			w.read = nil
			if _, err := body.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if got := w.read[0]; !got.Equal(until.Add(want - 90*time.Second)) {
				t.Errorf("%v before the deadline of the handler, want %v", until.Sub(got), 90*time.Second-want)
			}
			time.Sleep(40 * time.Second)
		}
		if err := http.NewResponseController(answer).SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		w.read = nil
		if _, err := body.Read(make([]byte, 1)); err != nil || time.Until(w.read[0]) != time.Minute {
			t.Error(err, w.read)
		}
	})
}
