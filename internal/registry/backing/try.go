package backing

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path"
	"slices"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"

	"github.com/drayage/dray/fault"
)

// Try does what a registry does with a bucket: it writes, reads, lists and deletes one small object, below
// the directory "dray-check". The error says which of these the bucket refuses. After an error, the object
// may stay. Try does nothing if the content is in a directory.
func (s Storage) Try(ctx context.Context) error {
	if s.Local() {
		return nil
	}
	driver, err := s.Open(ctx, "")
	if err != nil {
		return err
	}
	dir := path.Join("/dray-check", rand.Text())
	name, want := path.Join(dir, "object"), []byte("written to try the storage")
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"write", func() error { return driver.PutContent(ctx, name, want) }},
		{"read", func() error {
			got, err := driver.GetContent(ctx, name)
			if err == nil && !bytes.Equal(got, want) {
				err = errors.New("it returned other bytes than were written")
			}
			return err
		}},
		{"list", func() error {
			all, err := driver.List(ctx, dir)
			if err == nil && !slices.Equal(all, []string{name}) {
				err = fmt.Errorf("it listed %d objects instead of one", len(all))
			}
			return err
		}},
		{"delete", func() error {
			if err := driver.Delete(ctx, name); err != nil {
				return err
			}
			_, err := driver.Stat(ctx, name)
			var gone storagedriver.PathNotFoundError
			switch {
			case errors.As(err, &gone):
				return nil
			case err == nil:
				err = errors.New("the object is still there")
			}
			return err
		}},
	} {
		if err := step.do(); err != nil {
			return &fault.Fault{Kind: kindOf(ctx), Op: step.what + " an object in", Name: s.String(), Hint: hint, Err: err}
		}
	}
	return nil
}

const hint = "check the parameters of the storage, that the bucket exists, and that its login may write, " +
	"read, list and delete objects"

func kindOf(ctx context.Context) fault.Kind {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fault.Canceled
	}
	return fault.Unavailable
}
