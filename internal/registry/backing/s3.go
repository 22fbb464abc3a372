//go:build s3

package backing

import (
	_ "github.com/distribution/distribution/v3/registry/storage/driver/s3-aws" // registers itself as "s3"
)
