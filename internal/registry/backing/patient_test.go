package backing

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
)

// distribution's drivers wrap the errors of the system in a type of theirs.
func TestAnOperationWaitsWhileTooManyFilesAreOpen(t *testing.T) {
	full := storagedriver.Error{DriverName: "filesystem", Detail: syscall.EMFILE}
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		got, err := patient(t.Context(), func() (string, error) {
			if tries++; tries < 4 {
				return "", full
			}
			return "content", nil
		})
		if got != "content" || err != nil || tries != 4 {
			t.Error(got, err, tries)
		}
		began := time.Now()
		ctx, watched := Watch(t.Context())
		_, err = patient(ctx, func() (string, error) { return "", full })
		if u, ok := errors.AsType[*Unwritable](err); !ok || !u.Busy || watched.Why() != u || time.Since(began) > 10*time.Second {
			t.Error(err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began = time.Now()
		if _, err = patient(ctx, func() (string, error) { return "", full }); err == nil || time.Since(began) > 0 {
			t.Error(err, time.Since(began))
		}
		other := errors.New("other")
		if _, err = patient(t.Context(), func() (string, error) { return "", other }); err != other { //nolint:errorlint // as it was
			t.Error(err)
		}
	})
}
