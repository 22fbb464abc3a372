package cli

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// Serving is what the commands of a server do where its database and its registry are. Package
// serving has it, which only drayd links; dray executes drayd in its place.
type Serving struct {
	Serve   func(context.Context, Setup) error // until the context ends
	Work    func(context.Context, Setup) error // the same, on jobs alone
	Check   func(context.Context, Setup) ([]wire.Finding, error)
	Office  func(context.Context, Setup) (o Office, done func() error, err error)
	Collect func(context.Context, Setup, Sweep) (wire.Collected, error)
	Backup  func(ctx context.Context, s Setup, to string) (wire.Saved, error)
	Restore func(ctx context.Context, s Setup, from string) (wire.Saved, error)
}

// Setup is what the flags, the configuration and the environment say of a server.
type Setup struct {
	ServeFlags // each wins over File
	File       config.Server
	Dray       dray.Config

	Data      string // the directory
	Database  string // its URL; "" is the file in Data
	Egress    []netip.Prefix
	Schedules []wire.ScheduleRequest // nil leaves those that there are

	Version string
	Log     *slog.Logger
	Env     func(string) string
	Ready   func(net.Addr) // is called once, when it serves; the address of a worker may be nil
}

// ServeFlags are those of serve and worker.
type ServeFlags struct {
	PlaceFlags
	Listen    string
	PublicURL string
	Ops       string
	Cert, Key string
	ClientCA  string
	Htpasswd  string
	Plain     bool
	Nets      []string // of --egress, as they were written
	Slots     int
	Keep      time.Duration
	Check     bool
}

// PlaceFlags say where a server keeps what it knows.
type PlaceFlags struct {
	Data     string
	Database string
}

// Sweep are the flags of gc.
type Sweep struct {
	DryRun   bool
	Untagged bool
	Keep     time.Duration
}

// serving is what this process does for the commands of a server. Where it does nothing, drayd
// does all of the command in its place, and err says how that ended.
func (a *app) serving(ctx context.Context) (*Serving, error) {
	if a.IO.Serving != nil {
		a.noteOther()
		return a.IO.Serving, nil
	}
	if a.IO.Drayd == nil {
		return nil, &fault.Fault{Kind: fault.Internal, Op: "run drayd", Err: errors.New("nothing here runs it")}
	}
	code, err := a.IO.Drayd(ctx, a.args)
	if err != nil {
		return nil, err
	}
	return nil, ended(code)
}

// CalledBy is the variable in which dray tells drayd its version.
const CalledBy = "DRAY_CALLED_BY"

// noteOther says that dray and drayd are not of one build.
func (a *app) noteOther() {
	if dray, drayd := a.IO.Env(CalledBy), Version(); dray != "" && dray != drayd && !a.quiet {
		a.warn("note: dray is %s and drayd is %s; install both from one release", dray, drayd)
	}
}
