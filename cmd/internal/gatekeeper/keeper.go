package gatekeeper

import (
	"context"

	"github.com/drayage/dray/cmd/internal/config/gates"
	"github.com/drayage/dray/cmd/internal/gatekeeper/evidence"
	"github.com/drayage/dray/gate"
)

// Verify asks a verifier: it passes on an evidence.Request in JSON, and returns the answer as it came. An
// error means that there is no answer.
type Verify func(ctx context.Context, request []byte) (answer []byte, err error)

// Keeper is one gate of the configuration. It is a gate.Gate.
type Keeper struct {
	gates.Gate
	label  string // names the gate in errors
	trust  evidence.Trust
	verify Verify
}

// refuse returns the refusal of an image.
func (k *Keeper) refuse(image *gate.Image, found error, hint string) error {
	return gate.Refuse(image, k.label, found, hint)
}
