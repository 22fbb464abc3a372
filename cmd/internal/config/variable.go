package config

import (
	"errors"

	"github.com/drayage/dray/fault"
)

// Variable is the value of the environment's variable of this name, which a setting names. Its
// error is Invalid where there is none.
func Variable(env func(string) string, setting, name string) (string, error) {
	if v := env(name); v != "" {
		return v, nil
	}
	return "", &fault.Fault{Kind: fault.Invalid, Op: "read", Name: setting, Err: errors.New("the variable " + name + " is not set")}
}
