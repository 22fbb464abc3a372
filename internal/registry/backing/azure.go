//go:build azure

package backing

import (
	_ "github.com/distribution/distribution/v3/registry/storage/driver/azure" // registers itself as "azure"
)
