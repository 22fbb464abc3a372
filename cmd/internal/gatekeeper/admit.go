package gatekeeper

import (
	"context"
	"errors"

	"github.com/drayage/dray/cmd/internal/config/gates"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
)

// New returns the Keeper of g. It reads the files of keys, roots and policies. The error is Invalid if one
// of them cannot be used.
func New(g gates.Gate, v Verify) (*Keeper, error) {
	return newKeeper("gate "+g.Name, g, v)
}

// ByKey returns a Keeper that requires a signature of the public key in a file. label names it in errors.
func ByKey(label, path string, v Verify) (*Keeper, error) {
	return newKeeper(label, gates.Gate{Name: path, Signature: gates.Signature{Keys: []string{path}}}, v)
}

func newKeeper(label string, g gates.Gate, v Verify) (*Keeper, error) {
	k := &Keeper{Gate: g, label: label, verify: v}
	var err error
	if k.trust, err = trustOf(g.Signature); err != nil {
		hint := fault.HintOf(err)
		if f, ok := errors.AsType[*fault.Fault](err); ok && f.Name == g.Name { // the label has the name of the file
			err = f.Err
		}
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read", Name: label, Err: err, Hint: hint}
	}
	return k, nil
}

// Admit checks the rules in the order of what they cost.
func (k *Keeper) Admit(ctx context.Context, image *gate.Image) error {
	for _, rule := range []func(context.Context, *gate.Image) error{
		k.names, k.referrers, k.platforms, k.size, k.age, k.signature,
	} {
		if err := rule(ctx, image); err != nil {
			return err
		}
	}
	return nil
}
