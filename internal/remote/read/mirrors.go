package read

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/reason"
)

// firstOf calls ask with each mirror that is not left out, and then with the registry itself. An error
// of a mirror means that the next place is asked, without a wait. If the registry cannot be reached,
// the mirrors that were passed over or failed are asked in the end: some networks reach their mirrors
// only.
func firstOf[T any](ctx context.Context, r *Reader, ask func(*Reader) (T, error)) (T, error) {
	var passed []*Reader
	for _, m := range r.mirrors {
		may, finds := m.taught.standing.enter(ctx)
		if !may {
			passed = append(passed, m)
			continue
		}
		v, err := through(ctx, m, finds, ask)
		switch {
		case err == nil, ctx.Err() != nil:
			return v, err
		case fault.Is(err, fault.Unavailable):
			passed = append(passed, m)
		}
	}
	v, err := ask(r)
	if !fault.Is(err, fault.Unavailable) {
		return v, err
	}
	for _, m := range passed {
		if may, finds := m.taught.standing.insist(ctx); may {
			if w, again := through(ctx, m, finds, ask); again == nil {
				return w, nil
			}
		}
	}
	return v, err
}

// through calls ask with the mirror m, and records whether m answers.
func through[T any](ctx context.Context, m *Reader, finds bool, ask func(*Reader) (T, error)) (T, error) {
	at, begin := &m.taught.standing, time.Now()
	v, err := ask(m)
	switch {
	case err == nil, fault.Is(err, fault.NotFound):
		at.leave(finds, true)
	case ctx.Err() != nil:
		at.leave(finds, false)
	default:
		m.failed(begin, err)
		at.leave(finds, m.Host.Pulse.HeardSince(begin) && !reason.IsPage(err))
	}
	return v, err
}

// failed reports the trouble of a mirror once. If the mirror has answered nothing since begin, or if a
// web page answers, it is left out.
func (r *Reader) failed(begin time.Time, err error) {
	note := event.Event{Kind: event.Noted, Host: r.Host.Name, Name: r.Repo.String(), Err: err}
	switch {
	case !r.Host.Pulse.HeardSince(begin), reason.IsPage(err):
		r.leaveOut(err)
	case r.taught.standing.news():
		note.Text = "the mirror " + r.Host.Name + " fails, so dray reads from the next place: " + reason.CauseOf(err).Error()
		r.Observe.Tell(note)
	}
}

// leaveOut leaves this mirror out because of err, and reports that.
func (r *Reader) leaveOut(err error) {
	if !r.taught.standing.drop() {
		return
	}
	r.Observe.Tell(event.Event{Kind: event.Noted, Host: r.Host.Name, Name: r.Repo.String(), Err: err,
		Text: "the mirror " + r.Host.Name + " is left out for 10 minutes: " + reason.CauseOf(err).Error()})
}

// mirrored is the body of a blob from a mirror. If it breaks, the mirror is left out, so that the rest
// is read from the next place.
type mirrored struct {
	io.ReadCloser
	ctx context.Context // that of the request
	of  *Reader
}

func (m *mirrored) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && m.ctx.Err() == nil {
		m.of.leaveOut(err)
	}
	return n, err
}
