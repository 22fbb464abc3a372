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
	"github.com/drayage/dray/gate"
)

// Office manages the tokens, the secrets and the audit log of a server. It is either a client of the server
// with the rights of an admin, or the database of the server, opened on its machine.
type Office interface {
	MakeToken(context.Context, wire.NewToken) (wire.MadeToken, error)
	Tokens(context.Context) ([]wire.Token, error)
	RevokeToken(ctx context.Context, id string) error
	PutSecret(ctx context.Context, id, place string, l credential.Login) error
	Secrets(context.Context) ([]wire.Secret, error)
	DeleteSecret(ctx context.Context, id string) error
	Entries(ctx context.Context, after int64) (all []wire.Entry, next int64, err error)
	Verify(context.Context) error
	Head(context.Context) (wire.Head, error)
}

// Serving has the functions of the commands of a server, which need its database and its registry. Package
// serving makes it. Only the program drayd links that package; dray runs drayd instead.
type Serving struct {
	Serve   func(context.Context, Setup) error // returns when the context ends
	Work    func(context.Context, Setup) error // the same, but only runs jobs
	Check   func(context.Context, Setup) ([]wire.Finding, error)
	Office  OpenOffice // data that exists
	Begin   OpenOffice // the same, but creates the data of a server that has not started yet
	Collect func(context.Context, Setup, Sweep) (wire.Collected, error)
	Backup  func(ctx context.Context, s Setup, to string) (wire.Saved, error)
	Restore func(ctx context.Context, s Setup, from string) (wire.Saved, error)
}

// OpenOffice opens the data of a server. The caller must call done.
type OpenOffice func(context.Context, Setup) (o Office, done func() error, err error)

// Setup holds the settings of a server from the flags, the configuration and the environment.
type Setup struct {
	ServeFlags // each takes precedence over File
	File       config.Server
	Dray       dray.Config
	Gates      map[string]gate.Gate // those of the configuration, by their names

	Data      string // the directory
	Database  string // its URL; "" means the file in Data
	From      From
	Egress    []netip.Prefix
	Schedules []wire.ScheduleRequest // nil leaves the stored schedules as they are

	Files   int // how many files and connections this process may have open; 0 means that nobody knows
	Version string
	Log     *slog.Logger
	Env     func(string) string
	Ready   func(net.Addr) // called once, when the server is ready; a worker may have no address
}

// From names the flag, key or variable that set a value of a Setup; "" if nothing did.
type From struct{ Database, Engine string }

// ServeFlags holds the flags of dray serve and dray worker.
type ServeFlags struct {
	PlaceFlags
	Listen    string
	PublicURL string
	Ops       string
	Cert, Key string
	ClientCA  string
	Htpasswd  string
	Plain     bool
	Nets      []string // the values of --egress, as they were typed
	Engine    string   // in a Setup: that of the flag, the configuration or the environment
	Serves    []string // the values of --pool
	Slots     int
	Keep      time.Duration
	Check     bool
}

// PlaceFlags says where a server stores its data.
type PlaceFlags struct {
	Data     string
	Database string
}

// Sweep holds the flags of dray serve gc.
type Sweep struct {
	DryRun   bool
	Untagged bool
	Keep     time.Duration
}
