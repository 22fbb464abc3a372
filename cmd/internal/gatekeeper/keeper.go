package gatekeeper

import (
	"cmp"
	"context"
	"fmt"

	"github.com/drayage/dray/cmd/internal/config/gates"
	"github.com/drayage/dray/cmd/internal/gatekeeper/evidence"
	"github.com/drayage/dray/fault"
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

// unknown returns the refusal of an image of which the source does not say what refers to it.
func (k *Keeper) unknown(image *gate.Image, err error) error {
	if fault.Is(err, fault.Canceled) {
		return err
	}
	hint := cmp.Or(fault.HintOf(err), "try again, or use a login that may list referrers at the source")
	return k.refuse(image, fmt.Errorf("what refers to it cannot be read: %w", err), hint)
}
