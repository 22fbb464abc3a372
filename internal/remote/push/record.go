package push

import (
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
)

// recorded reports, once per Client, that the state directory does not work. Copies do not fail
// because of it.
func (r *Pusher) recorded(err error) {
	if err == nil {
		return
	}
	why := err.Error()
	if hint := fault.HintOf(err); hint != "" {
		why += " (hint: " + hint + ")"
	}
	r.dock.told.Do(func() {
		r.Observe.Tell(event.Event{Kind: event.Noted, Host: r.Host.Name, Name: r.Repo.String(), Err: err,
			Text: "uploads are not recorded, so an interrupted upload starts again from the beginning: " + why})
	})
}

// filling reports whether a process began to fill the repository and has not set a tag since. Such
// a repository may hold blobs even if it looks empty.
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

// leaveTrail is called before a blob is sent. Unless it was asked whether the repository is empty, it may be, and then
// the next process must know that it is no longer.
func (r *Pusher) leaveTrail() {
	r.known.mu.Lock()
	asked := r.known.asked
	r.known.mu.Unlock()
	if !asked {
		r.fill()
	}
}

// fill records, once, that blobs are now put into a repository that may have no tags.
func (r *Pusher) fill() {
	r.known.mu.Lock()
	first := !r.known.trail
	r.known.trail = true
	r.known.mu.Unlock()
	if first {
		r.recorded(r.dock.uploads.Fill(r.Repo))
	}
}
