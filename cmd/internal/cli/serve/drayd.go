package serve

import (
	"context"
	"errors"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/fault"
)

// serving is what this process does for the commands of a server. Where it does nothing, drayd
// does all of the command in its place, and err says how that ended.
func serving(ctx context.Context, a *app.App) (*app.Serving, error) {
	if a.IO.Serving != nil {
		noteOther(a)
		return a.IO.Serving, nil
	}
	if a.IO.Drayd == nil {
		return nil, &fault.Fault{Kind: fault.Internal, Op: "run drayd", Err: errors.New("nothing here runs it")}
	}
	code, err := a.IO.Drayd(ctx, a.Args)
	if err != nil {
		return nil, err
	}
	return nil, out.Ended(code)
}

// noteOther says that dray and drayd are not of one build.
func noteOther(a *app.App) {
	if dray, drayd := a.IO.Env(app.CalledBy), app.Version(); dray != "" && dray != drayd && !a.Quiet {
		a.Warn("note: dray is %s and drayd is %s; install both from one release", dray, drayd)
	}
}
