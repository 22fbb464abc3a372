package serve

import (
	"context"
	"errors"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/fault"
)

// serving returns the functions of a server that this process has. If it has none, drayd carries out the
// whole command, and err is the result of that.
func serving(ctx context.Context, a *app.App) (*app.Serving, error) {
	if a.IO.Serving != nil {
		noteOther(a)
		return a.IO.Serving, nil
	}
	if a.IO.Drayd == nil {
		return nil, &fault.Fault{Kind: fault.Internal, Op: "run drayd", Err: errors.New("this program cannot run drayd")}
	}
	code, err := a.IO.Drayd(ctx, a.Args)
	if err != nil {
		return nil, err
	}
	return nil, out.Ended(code)
}

// noteOther prints a note if dray and drayd have different versions.
func noteOther(a *app.App) {
	if dray, drayd := a.IO.Env(app.CalledBy), app.Version(); dray != "" && dray != drayd && !a.Quiet {
		a.Warnf("note: dray is %s and drayd is %s; install both from one release", dray, drayd)
	}
}
