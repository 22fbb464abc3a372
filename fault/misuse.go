package fault

import (
	"fmt"
)

func Misuse(op, name, cause, hint string) error {
	return &Fault{Kind: Invalid, Op: op, Name: name, Hint: hint, Err: fmt.Errorf("%s", cause)}
}
