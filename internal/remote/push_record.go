package remote

import "github.com/drayage/dray/event"

// recorded tells, once for a Client, that the state directory does not work. No copy fails by it.
func (r *pusher) recorded(err error) {
	if err == nil {
		return
	}
	r.dock.told.Do(func() {
		r.observe.Tell(event.Event{Kind: event.Noted, Host: r.host.name, Name: r.repo.String(), Err: err,
			Text: "uploads are not recorded, so one that is killed begins anew: " + err.Error()})
	})
}

// filling reports whether a process began to fill the repository and set no tag:
// then it may hold blobs, however empty it looks.
func (r *pusher) filling() bool {
	filling, err := r.dock.uploads.Filling(r.repo)
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
func (r *pusher) fill() {
	r.known.mu.Lock()
	first := !r.known.trail
	r.known.trail = true
	r.known.mu.Unlock()
	if first {
		r.recorded(r.dock.uploads.Fill(r.repo))
	}
}
