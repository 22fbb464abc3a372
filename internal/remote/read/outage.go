package read

import (
	"sync"
	"time"
)

// lookAgain is how long a registry that cannot be asked for tags is left alone. It is short, because
// its mirrors may be out of date.
const lookAgain = time.Minute

// outage is a time in which a registry that has mirrors cannot be asked for tags. The zero outage has
// not begun.
type outage struct {
	mu    sync.Mutex
	cause error     // nil outside of an outage
	look  time.Time // when the next request may be sent
}

// holds returns the cause of the outage, or nil if a request may be sent. In an outage, that is one
// request for each lookAgain.
func (o *outage) holds() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cause == nil || time.Now().Before(o.look) {
		return o.cause
	}
	o.look = time.Now().Add(lookAgain)
	return nil
}

// begin records that the registry could not be asked because of err. It returns the cause of the
// outage, which is the first one, so that all notes about it are the same.
func (o *outage) begin(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cause == nil {
		o.cause = err
	}
	o.look = time.Now().Add(lookAgain)
	return o.cause
}

// end records that the registry answered.
func (o *outage) end() {
	o.mu.Lock()
	o.cause = nil
	o.mu.Unlock()
}
