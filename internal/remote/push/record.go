package push

import (
	"github.com/drayage/dray/event"
)

// recorded tells, once for a Client, that the state directory does not work. No copy fails by it.
func (r *Pusher) recorded(err error) {
	if err == nil {
		return
	}
	r.dock.told.Do(func() {
		r.Observe.Tell(event.Event{Kind: event.Noted, Host: r.Host.Name, Name: r.Repo.String(), Err: err,
			Text: "uploads are not recorded, so one that is killed begins anew: " + err.Error()})
	})
}

// filling reports whether a process began to fill the repository and set no tag:
// then it may hold blobs, however empty it looks.
func (r *Pusher) filling() bool {
	filling, err := r.dock.uploads.Filling(r.Repo)
	r.recorded(err)
	if filling {
		r.known.tended()
		r.known.mu.Lock()
		r.known.trail = true
		r.known.mu.Unlock()
	}
	return filling
}

// fill puts on record, once, that a repository that may have no tags gets its blobs now.
func (r *Pusher) fill() {
	r.known.mu.Lock()
	first := !r.known.trail
	r.known.trail = true
	r.known.mu.Unlock()
	if first {
		r.recorded(r.dock.uploads.Fill(r.Repo))
	}
}
