package verifier

import (
	"context"

	"github.com/drayage/dray/cmd/internal/gatekeeper/evidence"
)

// check verifies one signature of the image, and returns who signed.
type check func(ctx context.Context, s evidence.Signature) (by string, err error)
