package fault_test

import (
	"errors"
	"fmt"

	"github.com/drayage/dray/fault"
)

// Decide by the Kind of an error, wherever it was wrapped.
func ExampleKindOf() {
	err := fmt.Errorf("nightly copy: %w", &fault.Fault{
		Kind: fault.Denied,
		Side: fault.Target,
		Op:   "put manifest",
		Name: "prod.example/app:v2",
		Hint: "log in with a user that may push",
		Err:  errors.New("the token lacks push"),
	})

	switch fault.KindOf(err) {
	case fault.Denied:
		fmt.Println(err)
		fmt.Println("hint:", fault.HintOf(err))
	case fault.Throttled, fault.Unavailable:
		fmt.Println("try again later")
	}
	// Output:
	// nightly copy: target: put manifest prod.example/app:v2: denied: the token lacks push
	// hint: log in with a user that may push
}

// An error of another package is Internal, and nil has no Kind.
func ExampleIs() {
	fmt.Println(fault.Is(errors.New("disk failure"), fault.Internal))
	fmt.Println(fault.Is(nil, fault.Internal))
	// Output:
	// true
	// false
}
