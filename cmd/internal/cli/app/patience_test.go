package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/fault"
)

func TestAVerbThatDoesNotReturnIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, interrupt)
		began := time.Now()
		_, err := Patiently(ctx, Grace, func() (int, error) {
			time.Sleep(time.Hour)
			return 1, nil
		})
		if took := time.Since(began); took != time.Minute+Grace || !fault.Is(err, fault.Canceled) {
			t.Errorf("after %s: %v", took, err)
		}
		time.Sleep(time.Hour) // synctest waits for all goroutines; a process does not
	})
}
