package verb

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/place"
)

// Config is what a Service stands on; all of it is required but the last two.
type Config struct {
	Dray   *dray.Dray // its Dial should be that of an access.Egress
	Queue  *job.Queue
	Access *access.Access
	DB     *store.DB // the one of Queue and Access, for the audit log
	Tool   string    // "dray 1.2.3", for receipts

	Observe event.Observer // is told what all jobs do; nil is nobody
}

// Service takes requests in and carries them out. It is safe for concurrent use.
type Service struct {
	dray   *dray.Dray
	queue  *job.Queue
	access *access.Access
	db     *store.DB
	tool   string
	watch  event.Observer
}

// New wires c. It does no I/O.
func New(c Config) *Service {
	return &Service{dray: c.Dray.For(place.Job{Apart: true}), queue: c.Queue, access: c.Access, db: c.DB, tool: cmp.Or(c.Tool, "dray"), watch: c.Observe}
}

// Visible returns a job that p may see: its own, and all of them an admin. Any other is NotFound.
func (s *Service) Visible(ctx context.Context, p access.Principal, id string) (job.Job, error) {
	j, err := s.queue.Get(ctx, id)
	if err != nil {
		return job.Job{}, err
	}
	if !p.Admin() && (p.Name == "" || p.Name != j.Principal) {
		return job.Job{}, &fault.Fault{Kind: fault.NotFound, Op: "get job", Name: id}
	}
	return j, nil
}

// Cancel asks a job to stop. It takes the role with which the job was submitted.
func (s *Service) Cancel(ctx context.Context, p access.Principal, id string) (job.Job, error) {
	j, err := s.Visible(ctx, p, id)
	if err != nil {
		return job.Job{}, err
	}
	if _, err := readRow(p, j.Request); err != nil {
		return job.Job{}, err
	}
	return s.queue.Cancel(ctx, id, func(tx *sql.Tx) error {
		return s.access.Audit(tx, access.Entry{Principal: p.Name, Verb: "cancel " + j.Kind, Source: j.Source, Target: j.Target, Old: j.ID})
	})
}

// readRow reads a stored request for p, who needs the role of the one who made it.
func readRow(p access.Principal, raw json.RawMessage) (row, error) {
	var r row
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, &fault.Fault{Kind: fault.Internal, Op: "read request", Err: err}
	}
	if !p.Role.Covers(r.Role) {
		return r, &fault.Fault{Kind: fault.Denied, Op: "allow " + p.Name, Name: r.Kind, Err: errors.New("it was made by a " + string(r.Role)), Hint: "use a token of that role"}
	}
	return r, nil
}
