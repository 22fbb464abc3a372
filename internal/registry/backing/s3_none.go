//go:build !s3

package backing

import (
	"context"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
)

// pending is Driver.Pending in a program without the driver of S3.
func pending(context.Context, storagedriver.StorageDriver, string) ([]Pending, error) {
	return nil, nil
}
