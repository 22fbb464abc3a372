package app

import (
	"errors"
	"os"
	"strings"

	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/gatekeeper"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/shell"
)

// Gate returns the gate that the values of --verify-signature mean: names of gates of the configuration, and
// files with a public key. It is nil if there are no values.
func (a *App) Gate(values []string) (gate.Gate, error) {
	if len(values) == 0 {
		return nil, nil
	}
	file, err := a.LoadConfig()
	if err != nil {
		return nil, err
	}
	var all gate.All
	for _, v := range values {
		g, err := a.signed(file, v)
		if err != nil {
			return nil, err
		}
		all = append(all, g)
	}
	return all, nil
}

// signed returns the gate that one value of --verify-signature means.
func (a *App) signed(file config.Config, value string) (gate.Gate, error) {
	label := "--verify-signature " + value
	g, named := file.GateByName(value)
	switch {
	case !named && !IsGateName(value):
		return gatekeeper.ByKey(label, value, gatekeeper.Program(a.IO.Verifier))
	case !named:
		if _, err := os.Stat(value); err == nil {
			return gatekeeper.ByKey(label, value, gatekeeper.Program(a.IO.Verifier))
		}
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read", Name: label,
			Err:  errors.New("no gate has this name, and there is no such file"),
			Hint: "name the file of a public key, or a gate of the configuration; see " + shell.Dray("config", "show")}
	case !g.Signature.Required():
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read", Name: label,
			Err: errors.New("this gate requires no signature"), Hint: "add signature: to the gate, or name another one"}
	}
	return gatekeeper.New(g, gatekeeper.Program(a.IO.Verifier))
}

// IsGateName reports whether a value of --verify-signature can be the name of a gate. Paths are not.
func IsGateName(value string) bool { return !strings.ContainsAny(value, `./\`) }
