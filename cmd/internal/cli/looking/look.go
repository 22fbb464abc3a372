package looking

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
)

// view is what a verb that only reads works with. Such a verb has a story, but neither a plan nor a report.
type view struct {
	dray *dray.Dray
	req  dray.LookRequest
	tell event.Observer // of the story
}

// looking runs a verb that only reads.
func looking[T any](
	a *app.App, cmd *cobra.Command, name string, look func(context.Context, view) (T, error),
) (T, error) {
	login, err := a.OneLogin(cmd.Context(), a.SourceLogin, a.TargetLogin)
	if err != nil {
		var none T
		return none, err
	}
	return lookingAs(a, cmd, name, login, look)
}

// lookingAs is looking with a login that the caller has found; nil leaves the search to package dray.
func lookingAs[T any](
	a *app.App, cmd *cobra.Command, name string, login *credential.Login, look func(context.Context, view) (T, error),
) (T, error) {
	var none T
	d, err := a.Open()
	if err != nil {
		return none, err
	}
	defer d.Close()
	s := a.NewStory()
	defer s.End()
	s.Far("reading " + cmp.Or(name, "the list of repositories"))
	ctx := cmd.Context()
	v := view{dray: d, req: dray.LookRequest{Name: name, Login: login}, tell: s.Observe}
	return app.Patiently(ctx, app.Grace, func() (T, error) { return look(ctx, v) })
}
