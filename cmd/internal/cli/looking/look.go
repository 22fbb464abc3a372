package looking

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/credential"
)

// looking runs a verb that only reads. Such a verb has a story, but neither a plan nor a report.
func looking[T any](a *app.App, cmd *cobra.Command, name string, look func(context.Context, *dray.Dray, dray.LookRequest, *out.Story) (T, error)) (T, error) {
	login, err := a.OneLogin(cmd.Context(), a.SourceLogin, a.TargetLogin)
	if err != nil {
		var none T
		return none, err
	}
	return lookingAs(a, cmd, name, login, look)
}

// lookingAs is looking with a login that the caller has found; nil leaves the search to package dray.
func lookingAs[T any](a *app.App, cmd *cobra.Command, name string, login *credential.Login, look func(context.Context, *dray.Dray, dray.LookRequest, *out.Story) (T, error)) (T, error) {
	var none T
	d, err := a.Open()
	if err != nil {
		return none, err
	}
	defer d.Close()
	s := a.NewStory()
	defer s.End()
	ctx := cmd.Context()
	return app.Patiently(ctx, app.Grace, func() (T, error) { return look(ctx, d, dray.LookRequest{Name: name, Login: login}, s) })
}
