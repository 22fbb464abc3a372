package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// wire carries notifications between processes over PostgreSQL. One connection listens. Outgoing
// notifications are sent in batches, after their transactions are committed. NOTIFY within a transaction
// would make commits wait for each other, because it takes a lock on the whole database until the commit
// is synced.
type wire struct {
	db   *sql.DB
	bus  *bus
	cfg  *pgx.ConnConfig
	self string // identifies this process as the sender; the bus delivers its own notifications

	out    chan note
	change chan struct{} // receives a value when the topics of the bus have changed
	cancel context.CancelFunc
	ended  chan struct{}
}

const (
	channel  = "dray_"         // prefix of the topics among the channels of the database
	patience = 5 * time.Second // how long the sending of a batch may take
)

func newWire(db *sql.DB, b *bus, cfg *pgx.ConnConfig) *wire {
	ctx, cancel := context.WithCancel(context.Background())
	w := &wire{
		db: db, bus: b, cfg: cfg, self: rand.Text()[:8],
		out: make(chan note, 4096), change: make(chan struct{}, 1),
		cancel: cancel, ended: make(chan struct{}),
	}
	go func() {
		defer close(w.ended)
		told := make(chan struct{})
		go func() {
			defer close(told)
			w.tell(ctx)
		}()
		w.listen(ctx)
		<-told
	}()
	return w
}

func (w *wire) close() {
	w.cancel()
	<-w.ended
}

func (w *wire) topicsChanged() {
	select {
	case w.change <- struct{}{}:
	default:
	}
}

func (w *wire) send(said []note) {
	for _, n := range said {
		select {
		case w.out <- n:
		default: // a notification may be lost, so the sender does not wait
		}
	}
}

func (w *wire) tell(ctx context.Context) {
	for {
		var batch []note
		select {
		case <-ctx.Done():
			return
		case n := <-w.out:
			batch = append(batch, n)
		}
		for more := true; more && len(batch) < 512; {
			select {
			case n := <-w.out:
				batch = append(batch, n)
			default:
				more = false
			}
		}
		w.notify(ctx, batch)
	}
}

// notify sends a batch, equal notifications once. If the database is not reachable, they are lost.
func (w *wire) notify(ctx context.Context, batch []note) {
	var topics, payloads []string
	seen := map[note]bool{}
	for _, n := range batch {
		if !seen[n] {
			seen[n] = true
			topics, payloads = append(topics, channel+n.topic), append(payloads, w.self+n.payload)
		}
	}
	ctx, done := context.WithTimeout(ctx, patience)
	defer done()
	_, _ = w.db.ExecContext(ctx, `SELECT pg_notify(c, p) FROM unnest($1::text[], $2::text[]) AS n(c, p)`, topics, payloads)
}

func (w *wire) listen(ctx context.Context) {
	pause := 50 * time.Millisecond
	for ctx.Err() == nil {
		began := time.Now()
		w.session(ctx)
		if time.Since(began) > time.Minute {
			pause = 50 * time.Millisecond
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, 2*time.Second)
	}
}

// session listens on one connection until that breaks or ctx ends. A connection pooler that does not
// support LISTEN ends it at once; then all processes poll.
func (w *wire) session(ctx context.Context) {
	c, err := pgx.ConnectConfig(ctx, w.cfg)
	if err != nil {
		return
	}
	defer func() {
		ctx, done := context.WithTimeout(context.Background(), time.Second)
		defer done()
		_ = c.Close(ctx) // the session is over
	}()
	var on []string
	for first := true; ctx.Err() == nil; first = false {
		if on, err = w.follow(ctx, c, on); err != nil {
			return
		}
		if first {
			w.bus.wake()
		}
		if err := w.hear(ctx, c); err != nil {
			return
		}
	}
}

// follow makes the connection listen to the topics that have listeners in this process.
func (w *wire) follow(ctx context.Context, c *pgx.Conn, on []string) ([]string, error) {
	want := w.bus.topics()
	var say []string
	for _, t := range want {
		if !slices.Contains(on, t) {
			say = append(say, "LISTEN "+pgx.Identifier{channel + t}.Sanitize())
		}
	}
	for _, t := range on {
		if !slices.Contains(want, t) {
			say = append(say, "UNLISTEN "+pgx.Identifier{channel + t}.Sanitize())
		}
	}
	if len(say) > 0 {
		if _, err := c.PgConn().Exec(ctx, strings.Join(say, ";")).ReadAll(); err != nil {
			return nil, err
		}
	}
	return want, nil
}

// hear delivers notifications until the topics change. If nothing arrives for a minute, it checks
// whether the connection is alive.
func (w *wire) hear(ctx context.Context, c *pgx.Conn) error {
	wait, done := context.WithTimeout(ctx, time.Minute)
	defer done()
	stop := make(chan struct{})
	changed := make(chan bool, 1)
	go func() {
		select {
		case <-w.change:
			done()
			changed <- true
		case <-stop:
			changed <- false
		}
	}()
	err := w.receive(wait, c)
	close(stop)
	if <-changed {
		// hear itself ended the wait, so the connection is still good.
		if c.IsClosed() {
			return err
		}
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && !c.IsClosed() {
		return c.Ping(ctx)
	}
	return err
}

func (w *wire) receive(ctx context.Context, c *pgx.Conn) error {
	for {
		n, err := c.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if who, payload := n.Payload[:min(8, len(n.Payload))], n.Payload[min(8, len(n.Payload)):]; who != w.self {
			w.bus.deliver(note{strings.TrimPrefix(n.Channel, channel), payload})
		}
	}
}
