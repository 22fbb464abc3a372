package serve

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
)

// inOffice calls do with an office: that of the directory or database that a flag names, else that of the
// server that is named, else that of the directory that serve uses by default.
func inOffice(a *app.App, cmd *cobra.Command, f app.PlaceFlags, do func(context.Context, app.Office) error) error {
	in, err := officeOf(a, cmd, f, func(s *app.Serving) app.OpenOffice { return s.Office })
	if err != nil {
		return err
	}
	return in(do)
}

// begun makes data that does not exist, and says so: an operator may create a token and store logins before the
// first start of a server.
func begun(a *app.App) func(*app.Serving) app.OpenOffice {
	return func(here *app.Serving) app.OpenOffice {
		return func(ctx context.Context, s app.Setup) (app.Office, func() error, error) {
			o, done, err := here.Office(ctx, s)
			if err == nil {
				return o, done, nil
			}
			missing := fault.KindOf(err) == fault.NotFound
			o, done, err = here.Begin(ctx, s)
			if missing && err == nil {
				a.Note(event.Event{Kind: event.Noted, Text: s.Data + " had no data of a dray server, and has new data now"})
			}
			return o, done, err
		}
	}
}

// officeOf finds the office, but opens it only when in is called.
func officeOf(
	a *app.App, cmd *cobra.Command, f app.PlaceFlags, choose func(*app.Serving) app.OpenOffice,
) (in func(do func(context.Context, app.Office) error) error, err error) {
	ctx := cmd.Context()
	if !given(f) {
		c, err := a.Client(ctx)
		if err != nil {
			return nil, err
		}
		if c != nil {
			return func(do func(context.Context, app.Office) error) error {
				defer c.Close()
				return do(ctx, counter{c})
			}, nil
		}
	}
	here, err := serving(ctx, a)
	if err != nil {
		return nil, err
	}
	return func(do func(context.Context, app.Office) error) error {
		s, err := serverSetup(a, cmd, app.ServeFlags{PlaceFlags: f})
		if err != nil {
			return err
		}
		o, done, err := choose(here)(ctx, s)
		if err != nil {
			return err
		}
		defer func() { _ = done() }() // what do has written is committed before it returns
		return do(ctx, o)
	}, nil
}

// counter is the Office of a server that runs, reached by its API.
type counter struct{ *client.Client }

func (c counter) PutSecret(ctx context.Context, id, place string, l credential.Login) error {
	scheme := string(l.Scheme)
	if l.Scheme == credential.Basic {
		scheme = "basic"
	}
	return c.Client.PutSecret(ctx, id, wire.PutSecret{
		Place:    place,
		Scheme:   scheme,
		User:     l.User,
		Password: l.Password.Reveal(),
	})
}

func (c counter) Entries(ctx context.Context, after int64) ([]wire.Entry, int64, error) {
	return c.Audit(ctx, after)
}

func (c counter) Verify(ctx context.Context) error {
	v, err := c.VerifyAudit(ctx)
	if err == nil && !v.Whole {
		err = &fault.Fault{
			Kind: fault.Corrupt,
			Op:   "verify audit log",
			Name: v.Problem,
			Hint: "compare it with an export or a backup",
		}
	}
	return err
}

// officeFlags adds the flags of every command that works in an office.
func officeFlags(a *app.App, cmd *cobra.Command, f *app.PlaceFlags) *cobra.Command {
	cmd.Flags().SortFlags = false
	addPlaceTo(f, cmd.Flags())
	a.Common.AddServerTo(cmd.Flags())
	return cmd
}

// listOf returns the command that lists what cmd takes the names of, in the same place. It leaves out the
// address of a database, which may hold a password.
func listOf(a *app.App, cmd *cobra.Command, f app.PlaceFlags) string {
	words := []string{"serve", cmd.Parent().Name(), "list"}
	if f.Data != "" {
		words = append(words, "--data", f.Data)
	}
	return a.Next(words...)
}

// ending is what a command does to each of its arguments.
type ending struct {
	done string // the word that says so
	what string // the things, in the plural
	end  func(app.Office, context.Context, string) error
	list func(app.Office, context.Context) ([]string, error) // those that are there
}

// newEnding makes cmd end each of its arguments, one after the other.
func newEnding(a *app.App, e ending, cmd *cobra.Command) *cobra.Command {
	var f app.PlaceFlags
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return inOffice(a, cmd, f, func(ctx context.Context, o app.Office) error {
			for _, id := range args {
				err := e.end(o, ctx, id)
				err = app.Nearest(err, e.what, id, listOf(a, cmd, f), func() ([]string, error) { return e.list(o, ctx) })
				if err != nil {
					return err
				}
				a.PrintWord(e.done, id)
			}
			return nil
		})
	}
	return officeFlags(a, cmd, &f)
}
