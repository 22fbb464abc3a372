package temporal

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/fault"
)

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
	f := &fault.Fault{Kind: fault.Unavailable, Op: op, Name: e.at.name, Err: err,
		Hint: "check that Temporal is running at this address, that no firewall blocks this machine, " +
			"and whether it needs ?tls=true"}
	var namespace *serviceerror.NamespaceNotFound
	var denied *serviceerror.PermissionDenied
	switch {
	case errors.As(err, &namespace):
		f.Kind, f.Err = fault.NotFound, errors.New("there is no such namespace")
		f.Hint = "create it: temporal operator namespace create -n " + e.at.namespace
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

func (e *Engine) queueOf(pool string) string { return queueOf(e.q.Cluster(), pool) }

// pause waits. It reports false if ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// queueOf returns the task queue of the jobs of a pool. That of no pool is also that of workflows.
func queueOf(cluster, pool string) string {
	if pool == "" {
		return "dray-" + cluster
	}
	return "dray-" + cluster + "/" + pool
}
