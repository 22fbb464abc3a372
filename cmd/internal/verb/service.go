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
	"github.com/drayage/dray/cmd/internal/memory"
	"github.com/drayage/dray/cmd/internal/pool"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/shell"
)

// Config has the dependencies of a Service. All of them are required, except Tool and Observe.
type Config struct {
	Dray   *dray.Dray // its Dial should be that of an access.Egress
	Queue  *job.Queue
	Access *access.Access
	DB     *store.DB // the database of Queue and Access; the audit log is written to it
	Tool   string    // name and version of the program in receipts, as "dray 1.2.3"; default "dray"

	// Gates are those that requests can name. The gate of Dray counts for every job.
	Gates map[string]gate.Gate

	Memory *memory.Budget // of jobs with large requests; nil means no limit

	Place pool.Placement // zero for a process that shares its queue with no other

	Observe event.Observer // receives the events of every job; nil for none
}

// Service accepts requests and carries them out as jobs. It is safe for concurrent use.
type Service struct {
	dray   *dray.Dray
	queue  *job.Queue
	access *access.Access
	db     *store.DB
	tool   string
	gates  map[string]gate.Gate
	watch  event.Observer
	place  pool.Placement
	memory *memory.Budget
	words  name.Words // see In
}

// New returns a Service with the dependencies of c. It does no I/O.
func New(c Config) *Service {
	return &Service{
		dray:   c.Dray.For(place.Job{Apart: true}),
		queue:  c.Queue,
		access: c.Access,
		db:     c.DB,
		tool:   cmp.Or(c.Tool, "dray"),
		gates:  c.Gates,
		place:  c.Place,
		memory: c.Memory,
		watch:  c.Observe,
	}
}

// In returns a copy of s that shares everything with s. The hints of its errors, and those of the jobs that it
// submits, call the parts of a request by words.
func (s *Service) In(words name.Words) *Service {
	return s.reading(row{Words: words})
}

// reading returns a copy of s that reads names as they are meant in r.
func (s *Service) reading(r row) *Service {
	c := *s
	c.words, c.dray = r.Words, s.dray.For(place.Job{Words: r.Words, Hosts: r.Hosts, Default: r.Default})
	return &c
}

// Visible returns the job with the given ID. If p may not see it, the error is NotFound. A principal
// sees its own jobs, and an admin sees all jobs.
func (s *Service) Visible(ctx context.Context, p access.Principal, id string) (job.Job, error) {
	j, err := s.queue.Get(ctx, id)
	if err != nil {
		return job.Job{}, err
	}
	if !p.Admin() && (p.Name == "" || p.Name != j.Principal) {
		hint := "see " + shell.Dray("jobs", "list")
		return job.Job{}, &fault.Fault{Kind: fault.NotFound, Op: "get job", Name: id, Hint: hint}
	}
	return j, nil
}

// Cancel requests that a job stops. p needs at least the role with which the job was submitted, else the
// error is Denied.
func (s *Service) Cancel(ctx context.Context, p access.Principal, id string) (job.Job, error) {
	j, err := s.Visible(ctx, p, id)
	if err != nil {
		return job.Job{}, err
	}
	if _, err := readRow(p, j.Request); err != nil {
		return job.Job{}, err
	}
	return s.queue.Cancel(ctx, id, func(tx *sql.Tx) error {
		return s.access.Audit(ctx, tx, access.Entry{
			Principal: p.Name, Verb: "cancel " + j.Kind, Source: j.Source, Target: j.Target, Old: j.ID,
		})
	})
}

// readRow reads a stored request. The error is Denied if the role of p does not cover the role with
// which the request was made.
func readRow(p access.Principal, raw json.RawMessage) (row, error) {
	var r row
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, &fault.Fault{Kind: fault.Internal, Op: "read request", Err: err}
	}
	if !p.Role.Covers(r.Role) {
		return r, &fault.Fault{Kind: fault.Denied, Op: p.Name + " may not", Name: r.Kind,
			Err: errors.New("it requires the role " + string(r.Role)), Hint: "use a token with that role"}
	}
	return r, nil
}
