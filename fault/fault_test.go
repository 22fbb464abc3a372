package fault

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestErrorReadsSideVerbNameKindCause(t *testing.T) {
	cause := errors.New("token lacks push")
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&Fault{Kind: Denied, Side: Target, Op: "put manifest", Name: "reg.example/app:v2", Err: cause}, "target: put manifest reg.example/app:v2: denied: token lacks push"},
		{&Fault{Kind: NotFound, Op: "resolve", Name: "a/b:c"}, "resolve a/b:c: not found"},
		{&Fault{Kind: Denied, Side: Source, Op: "read blob", Err: &Fault{Kind: Denied, Op: "get token", Err: cause}}, "source: read blob: get token: denied: token lacks push"},
		{&Fault{Kind: Unavailable, Op: "copy", Err: &Fault{Kind: Corrupt, Op: "read"}}, "copy: unavailable: read: corrupt"},
		{On(Target, &Fault{Kind: Full, Op: "put blob"}), "target: put blob: full"},
		{On(Target, fmt.Errorf("2 of 3 tags: %w", &Fault{Kind: Full, Op: "put blob"})), "target: 2 of 3 tags: put blob: full"},
		{On(Source, errors.Join(&Fault{Kind: Denied, Op: "list"}, &Fault{Kind: Full, Op: "put"})), "source: list: denied\nput: full"},
		{On(Target, &Fault{Kind: Full, Side: Source, Op: "put blob"}), "source: put blob: full"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
	}
}

func TestKindAndHintAreFoundThroughWrapping(t *testing.T) {
	in := &Fault{Kind: Conflict, Hint: "use --force to replace it"}
	err := fmt.Errorf("step 3: %w", &Fault{Kind: Conflict, Op: "tag", Err: in})
	if KindOf(err) != Conflict || HintOf(err) != "use --force to replace it" {
		t.Errorf("kind %q, hint %q", KindOf(err), HintOf(err))
	}
	if SideOf(On(Source, err)) != Source || SideOf(err) != "" || SideOf(errors.New("x")) != "" {
		t.Error("SideOf is not the side of the first fault")
	}
	if KindOf(fmt.Errorf("list: %w", context.Canceled)) != Canceled {
		t.Error("KindOf(context.Canceled) is not Canceled")
	}
	if KindOf(fmt.Errorf("list: %w", context.DeadlineExceeded)) != Unavailable {
		t.Error("KindOf(context.DeadlineExceeded) is not Unavailable")
	}
	if KindOf(errors.New("x")) != Internal || KindOf(nil) != "" || HintOf(errors.New("x")) != "" {
		t.Error("an error without a Fault must be Internal and have no hint, and nil must have no kind")
	}
}

func TestOnLeavesForeignErrorsAlone(t *testing.T) {
	plain := errors.New("x")
	if On(Source, plain) != plain || On(Source, nil) != nil { //nolint:errorlint // the very same value
		t.Error("On changed an error that is not a Fault")
	}
}
