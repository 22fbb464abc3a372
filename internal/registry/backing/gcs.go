//go:build gcs

package backing

import (
	_ "github.com/distribution/distribution/v3/registry/storage/driver/gcs" // registers itself as "gcs"
)
