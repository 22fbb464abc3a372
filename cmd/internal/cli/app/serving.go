package app

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
)

// Office is where tokens, secrets and the audit log of a server are looked after: the server, as
// its admin, or its database, as whoever is at the machine.
type Office interface {
	MakeToken(context.Context, wire.NewToken) (wire.MadeToken, error)
	Tokens(context.Context) ([]wire.Token, error)
	RevokeToken(ctx context.Context, id string) error
	PutSecret(ctx context.Context, id, place string, l credential.Login) error
	Secrets(context.Context) ([]wire.Secret, error)
	DeleteSecret(ctx context.Context, id string) error
	Entries(ctx context.Context, after int64) (all []wire.Entry, next int64, err error)
	Verify(context.Context) error
}

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
