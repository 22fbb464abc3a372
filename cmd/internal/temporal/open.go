package temporal

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/drayage/dray/cmd/internal/job"
)

// Config configures an Engine. URL and Queue are required.
type Config struct {
	// URL is temporal://HOST[:7233]/NAMESPACE, with the parameters tls=true, ca=FILE, cert=FILE and key=FILE,
	// server-name=NAME, and api-key-file=FILE.
	URL   string
	Queue *job.Queue
	Log   *slog.Logger // what Temporal's SDK has to say, and what this process waits for; nil drops it

	APIKey string   // such as of TEMPORAL_API_KEY; "" means none
	Pools  []string // the pools whose jobs this process runs; "" is that of jobs without a pool, and the default

	// Lease is how long an attempt is kept without a sign of its worker; then the job runs again elsewhere.
	// Default 10 s.
	Lease time.Duration
}

// Open returns an Engine. It does not wait for Temporal: Work does, and says so. Errors are Invalid if the
// URL, or a file that it names, cannot be read.
func Open(cfg Config) (*Engine, error) {
	at, err := parse(cfg.URL, cfg.APIKey)
	if err != nil {
		return nil, err
	}
	e := &Engine{q: cfg.Queue, at: at, pools: slices.Clone(cfg.Pools), kick: make(chan struct{}, 1), perRange: inRange,
		log: cmp.Or(cfg.Log, slog.New(slog.DiscardHandler)), lease: cmp.Or(cfg.Lease, 10*time.Second)}
	if len(e.pools) == 0 {
		e.pools = []string{""}
	}
	if e.there, err = at.client(e.log, cfg.Queue.Owner()); err != nil {
		return nil, err
	}
	return e, nil
}

// Check returns the error with which Open would refuse cfg. It connects to nothing.
func Check(cfg Config) error {
	_, err := parse(cfg.URL, cfg.APIKey)
	return err
}

// Try returns what answers at the URL of cfg, as text for people. It needs no Queue and changes nothing there. Errors
// are those of Open and of Ready.
func Try(ctx context.Context, cfg Config) (string, error) {
	at, err := parse(cfg.URL, cfg.APIKey)
	if err != nil {
		return "", err
	}
	there, err := at.client(slog.New(slog.DiscardHandler), "dray check")
	if err != nil {
		return "", err
	}
	defer there.Close()
	e := &Engine{at: at, there: there}
	if err := e.Ready(ctx); err != nil {
		return "", err
	}
	ctx, done := context.WithTimeout(ctx, callTime)
	defer done()
	info, err := there.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	if err != nil {
		return "", e.explain("ask Temporal", err)
	}
	return at.name + ", Temporal " + info.GetServerVersion(), nil
}

// client returns a client that connects when it is first used. identity is what Temporal shows of this process.
func (a address) client(log *slog.Logger, identity string) (client.Client, error) {
	c, err := client.NewLazyClient(client.Options{
		HostPort: a.host, Namespace: a.namespace, Identity: identity, Credentials: a.login, Logger: logger{log},
		// Keep-alives end a connection whose network has gone silent.
		ConnectionOptions: client.ConnectionOptions{TLS: a.tls, TLSDisabled: a.tls == nil,
			KeepAliveTime: keepAlive, KeepAliveTimeout: callTime, GetSystemInfoTimeout: callTime},
	})
	if err != nil {
		return nil, invalid(a.name, err.Error(), "")
	}
	return c, nil
}

// logger passes on what the SDK has to say. Its starts and stops of workers are details.
type logger struct{ to *slog.Logger }

func (l logger) Debug(msg string, with ...any) { l.to.Debug(msg, with...) }
func (l logger) Info(msg string, with ...any)  { l.to.Debug(msg, with...) }

// Warn passes polls that fail on as details: there are many of them, and the process watches whether Temporal answers.
func (l logger) Warn(msg string, with ...any) {
	if msg == "Failed to poll for task." {
		l.to.Debug(msg, with...)
		return
	}
	l.to.Warn(msg, with...)
}

// Error drops what activities return: these errors say to Temporal when to try again, such as "no slot is free", and
// what has gone wrong was logged.
func (l logger) Error(msg string, with ...any) {
	if msg == "Activity error." {
		l.to.Debug(msg, with...)
		return
	}
	l.to.Error(msg, with...)
}
