package job

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"strings"

	"github.com/oklog/ulid/v2"

	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/fault"
)

// Open creates or updates the tables and returns a Queue on them. The embedded engine also queues the jobs
// again that a dead process left.
//
// Errors are Refused for the embedded engine on PostgreSQL, and those of Config.Engine and of the database.
func Open(ctx context.Context, cfg Config) (*Queue, error) {
	if cfg.DB == nil {
		return nil, &fault.Fault{Kind: fault.Internal, Op: "open queue", Err: errors.New("no database")}
	}
	if cfg.Engine == nil && cfg.DB.Postgres() {
		return nil, &fault.Fault{Kind: fault.Refused, Op: "open queue", Name: cfg.DB.URL(),
			Err:  errors.New("jobs on PostgreSQL need an engine that several processes share"),
			Hint: "give --engine temporal://HOST:7233/NAMESPACE, or use a SQLite database"}
	}
	q := &Queue{cfg: cfg.withDefaults(), db: cfg.DB, entropy: ulid.Monotonic(rand.Reader, 0)}
	q.running, q.backlogs, q.unsummed = map[*Run]bool{}, map[string]backlog{}, map[string]bool{}
	q.owner = cmp.Or(cfg.Owner, "dray") + "/" + rand.Text()[:10]
	if err := q.db.Migrate(ctx, "job", schema()); err != nil {
		return nil, err
	}
	if err := q.setClock(ctx); err != nil {
		return nil, err
	}
	if err := q.setCluster(ctx); err != nil {
		return nil, err
	}
	if cfg.Engine == nil {
		e := newEmbedded(q)
		if err := e.recover(ctx); err != nil {
			return nil, err
		}
		q.engine = e
		return q, nil
	}
	e, err := cfg.Engine(q)
	if err != nil {
		return nil, err
	}
	q.engine = e
	return q, nil
}

// setCluster reads the id of this database, and gives it one at first.
func (q *Queue) setCluster(ctx context.Context) error {
	err := q.db.Tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO cluster (one, id) VALUES (1, $1) ON CONFLICT (one) DO NOTHING`,
			strings.ToLower(rand.Text()[:8])); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT id FROM cluster WHERE one = 1`).Scan(&q.cluster)
	})
	return q.db.Explain("read id of cluster", err)
}

// Cluster returns an id that all processes with this database have, and no others. It never changes.
func (q *Queue) Cluster() string { return q.cluster }

// Fits returns the error with which Open would refuse a database that a newer dray has used. It changes
// nothing. behind says what Open would upgrade, as in store.DB.Fits.
func Fits(ctx context.Context, db *store.DB) (behind string, err error) {
	return db.Fits(ctx, "job", schema())
}

// schema returns the migrations that create the tables, in order. docs/jobs.md explains the tables.
//
// No index begins with the state of all jobs. A query planner with old statistics would use it to find
// queued jobs, and read all of them for each principal. Claims use jobs_queued.
func schema() []string { return []string{tables, withoutLeases, files} }

// tables is the first form of the tables.
const tables = `
CREATE TABLE jobs (
	id TEXT PRIMARY KEY,
	kind TEXT NOT NULL,
	principal TEXT NOT NULL,
	request TEXT NOT NULL,
	source TEXT NOT NULL,
	target TEXT NOT NULL,
	state TEXT NOT NULL,
	attempt BIGINT NOT NULL DEFAULT 0,
	lost BIGINT NOT NULL DEFAULT 0,
	owner TEXT NOT NULL DEFAULT '',
	lease_until BIGINT NOT NULL DEFAULT 0,
	wake BIGINT NOT NULL DEFAULT 0,
	client_key TEXT NOT NULL DEFAULT '',
	parent TEXT NOT NULL DEFAULT '',
	schedule TEXT NOT NULL DEFAULT '',
	due BIGINT NOT NULL DEFAULT 0,
	cancel_requested BIGINT NOT NULL DEFAULT 0,
	progress TEXT NOT NULL DEFAULT '',
	failure TEXT NOT NULL DEFAULT '',
	created BIGINT NOT NULL,
	claimed BIGINT NOT NULL DEFAULT 0,
	started BIGINT NOT NULL DEFAULT 0,
	ended BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX jobs_queued ON jobs (principal, id) WHERE state = 'queued';
CREATE INDEX jobs_running ON jobs (principal) WHERE state = 'running';
CREATE INDEX jobs_owned ON jobs (owner) WHERE state = 'running';
CREATE INDEX jobs_waiting ON jobs (wake) WHERE state = 'waiting';
CREATE INDEX jobs_turn ON jobs (principal, claimed);
CREATE INDEX jobs_active ON jobs (state, id) WHERE ended = 0;
CREATE INDEX jobs_past ON jobs (state, id) WHERE ended > 0;
CREATE INDEX jobs_principal ON jobs (principal, id);
CREATE INDEX jobs_kind ON jobs (kind, id);
CREATE INDEX jobs_schedule ON jobs (schedule, id) WHERE schedule <> '';
CREATE INDEX jobs_parent ON jobs (parent, id) WHERE parent <> '';
CREATE INDEX jobs_ended ON jobs (ended) WHERE ended > 0;
CREATE UNIQUE INDEX jobs_due ON jobs (schedule, due) WHERE due > 0;

CREATE TABLE job_reports (job TEXT PRIMARY KEY, report TEXT NOT NULL);
CREATE TABLE job_items (job TEXT NOT NULL, seq BIGINT NOT NULL, data TEXT NOT NULL, PRIMARY KEY (job, seq));
CREATE TABLE job_log (
	job TEXT NOT NULL, seq BIGINT NOT NULL, at BIGINT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (job, seq)
);
CREATE TABLE job_secrets (job TEXT PRIMARY KEY, sealed BLOB NOT NULL);
CREATE TABLE job_keys (
	principal TEXT NOT NULL, client_key TEXT NOT NULL, hash TEXT NOT NULL, job TEXT NOT NULL, created BIGINT NOT NULL,
	PRIMARY KEY (principal, client_key)
);
CREATE INDEX job_keys_created ON job_keys (created);

CREATE TABLE schedules (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	kind TEXT NOT NULL,
	principal TEXT NOT NULL,
	cron TEXT NOT NULL,
	zone TEXT NOT NULL,
	request TEXT NOT NULL,
	source TEXT NOT NULL,
	target TEXT NOT NULL,
	paused BIGINT NOT NULL,
	created BIGINT NOT NULL,
	next_due BIGINT NOT NULL,
	last_due BIGINT NOT NULL DEFAULT 0,
	last_job TEXT NOT NULL DEFAULT '',
	UNIQUE (principal, name)
);
CREATE INDEX schedules_due ON schedules (next_due) WHERE paused = 0;

CREATE TABLE budgets (
	registry TEXT NOT NULL, identity TEXT NOT NULL, class TEXT NOT NULL,
	tokens DOUBLE PRECISION NOT NULL, refilled BIGINT NOT NULL,
	PRIMARY KEY (registry, identity, class)
)`

// withoutLeases takes the leases away, and adds what engines need: pools, parts, orders and workers.
const withoutLeases = `
ALTER TABLE jobs ADD COLUMN pool TEXT NOT NULL DEFAULT '';
ALTER TABLE schedules ADD COLUMN pool TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN alone BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN fence BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN wrote BIGINT NOT NULL DEFAULT 0;
DROP INDEX jobs_owned;
ALTER TABLE jobs DROP COLUMN lease_until;
UPDATE jobs SET seq = (attempt + 1) * 4294967296 WHERE ended = 0 AND attempt > 0;
DELETE FROM job_items WHERE job IN (SELECT id FROM jobs WHERE attempt > 1)
	AND seq <= (SELECT attempt FROM jobs WHERE id = job_items.job) * 4294967296;
ALTER TABLE job_items ADD COLUMN part BIGINT NOT NULL DEFAULT 0;

CREATE TABLE job_parts (
	job TEXT NOT NULL,
	part BIGINT NOT NULL,
	request TEXT NOT NULL,
	state TEXT NOT NULL DEFAULT 'queued',
	attempt BIGINT NOT NULL DEFAULT 0,
	lost BIGINT NOT NULL DEFAULT 0,
	alone BIGINT NOT NULL DEFAULT 0,
	owner TEXT NOT NULL DEFAULT '',
	fence BIGINT NOT NULL DEFAULT 0,
	wrote BIGINT NOT NULL DEFAULT 0,
	progress TEXT NOT NULL DEFAULT '',
	outcome TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (job, part)
);
CREATE TABLE job_orders (
	seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL, principal TEXT NOT NULL DEFAULT ''
);
CREATE INDEX job_orders_principal ON job_orders (principal, seq);
INSERT INTO job_orders (kind, id, principal) SELECT 'start', id, principal FROM jobs WHERE ended = 0 ORDER BY id;
INSERT INTO job_orders (kind, id) SELECT 'schedule', id FROM schedules;
CREATE TABLE workers (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	kind TEXT NOT NULL,
	pools TEXT NOT NULL,
	slots BIGINT NOT NULL,
	running BIGINT NOT NULL,
	version TEXT NOT NULL,
	started BIGINT NOT NULL,
	seen BIGINT NOT NULL
);
CREATE TABLE cluster (one BIGINT PRIMARY KEY, id TEXT NOT NULL)`

// files adds the files of jobs, in pieces.
const files = `
CREATE TABLE job_files (job TEXT NOT NULL, part BIGINT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (job, part))`
