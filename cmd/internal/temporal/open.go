package temporal

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"slices"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/fault"
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

// Engine runs the jobs of a Queue on Temporal. It is safe for concurrent use.
type Engine struct {
	q     *job.Queue
	log   *slog.Logger
	at    address
	there client.Client
	pools []string
	lease time.Duration
	kick  chan struct{}

	perRange int // parts of a job in one workflow
}

const (
	callTime  = 5 * time.Second // how long one call to Temporal may take
	keepAlive = 10 * time.Second
)

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
	e.there, err = client.NewLazyClient(client.Options{
		HostPort: at.host, Namespace: at.namespace, Identity: cfg.Queue.Owner(), Credentials: at.login, Logger: logger{e.log},
		// Keep-alives end a connection whose network has gone silent.
		ConnectionOptions: client.ConnectionOptions{TLS: at.tls, TLSDisabled: at.tls == nil,
			KeepAliveTime: keepAlive, KeepAliveTimeout: callTime, GetSystemInfoTimeout: callTime},
	})
	if err != nil {
		return nil, invalid(at.name, err.Error(), "")
	}
	return e, nil
}

// Close ends the connections to Temporal.
func (e *Engine) Close() error {
	e.there.Close()
	return nil
}

// Ready says why no job can be started now. It returns nil if Temporal answers and has the namespace.
func (e *Engine) Ready(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, callTime)
	defer done()
	_, err := e.there.WorkflowService().DescribeNamespace(ctx,
		&workflowservice.DescribeNamespaceRequest{Namespace: e.at.namespace})
	return e.explain("ask Temporal", err)
}

// explain returns an error of Temporal as a fault.
func (e *Engine) explain(op string, err error) error {
	if err == nil {
		return nil
	}
	f := &fault.Fault{Kind: fault.Unavailable, Op: op, Name: e.at.name, Err: err}
	var namespace *serviceerror.NamespaceNotFound
	var denied *serviceerror.PermissionDenied
	switch {
	case errors.As(err, &namespace):
		f.Kind, f.Err = fault.NotFound, errors.New("there is no such namespace")
		f.Hint = "create it: temporal operator namespace create --namespace " + e.at.namespace
	case errors.As(err, &denied):
		f.Kind, f.Hint = fault.Denied, "set TEMPORAL_API_KEY, or cert and key in the URL of the engine"
	}
	return f
}

// Order stores o with the change that it is about. Kick, or a later look of any process, carries it out.
func (e *Engine) Order(ctx context.Context, tx *sql.Tx, o job.Order) error {
	return e.q.PutOrder(ctx, tx, o)
}

// Kick says that orders were committed. It does not wait until they are carried out.
func (e *Engine) Kick() {
	select {
	case e.kick <- struct{}{}:
	default:
	}
}

// logger passes on what the SDK has to say. Its starts and stops of workers are details.
type logger struct{ to *slog.Logger }

func (l logger) Debug(msg string, with ...any) { l.to.Debug(msg, with...) }
func (l logger) Info(msg string, with ...any)  { l.to.Debug(msg, with...) }
func (l logger) Warn(msg string, with ...any)  { l.to.Warn(msg, with...) }
func (l logger) Error(msg string, with ...any) { l.to.Error(msg, with...) }
