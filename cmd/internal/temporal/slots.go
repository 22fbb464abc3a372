package temporal

import (
	"context"
	"sync"

	"go.temporal.io/sdk/worker"
)

// slots are the slots of one process, shared by all its queues. A poll waits at Temporal for up to a
// minute, and may hold a slot only while another queue does not need it. So each queue may have one poll as
// long as a slot is free, and more polls only if there are slots for all of them. If two polls bring a task
// for the last slot, one task goes back to Temporal (enter).
type slots struct {
	most int

	mu      sync.Mutex
	busy    int            // tasks that run, or wait until they can run alone
	alone   int            // tasks that run alone, or wait for that: at most one runs
	only    bool           // a task runs alone
	polling map[string]int // polls that wait, by queue
	changed chan struct{}  // closed when something was freed
}

// permit is what the SDK keeps for a poll, and then for its task.
type permit struct {
	queue string
	used  bool // the poll has brought a task
}

func newSlots(most int) *slots {
	return &slots{most: most, polling: map[string]int{}, changed: make(chan struct{})}
}

// tuner gives the slots to the activities of a queue. No other kind of task is taken there.
func (s *slots) tuner() (worker.WorkerTuner, error) {
	none, err := worker.NewFixedSizeSlotSupplier(1)
	if err != nil {
		return nil, err
	}
	return worker.NewCompositeTuner(worker.CompositeTunerOptions{ActivitySlotSupplier: s, WorkflowSlotSupplier: none,
		LocalActivitySlotSupplier: none, NexusSlotSupplier: none, SessionActivitySlotSupplier: none})
}

// enter takes a slot for a task. It reports whether there was one.
func (s *slots) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy >= s.most || s.alone > 0 {
		return false
	}
	s.busy++
	return true
}

// leave frees the slot of a task.
func (s *slots) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
	s.free()
}

// solo waits until the caller's task is the only one, or until ctx ends. Until the returned function is called no
// other begins.
func (s *slots) solo(ctx context.Context) (over func()) {
	s.mu.Lock()
	s.alone++
	s.mu.Unlock()
	for {
		s.mu.Lock()
		changed, others := s.changed, s.busy > s.alone || s.only
		if !others {
			s.only = true
		}
		s.mu.Unlock()
		if !others {
			return func() { s.soloed(true) }
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return func() { s.soloed(false) }
		}
	}
}

func (s *slots) soloed(only bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alone--
	if only {
		s.only = false
	}
	s.free()
}

func (s *slots) free() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// poll counts one poll of queue, if it may begin. Otherwise it returns a channel that is closed when it is
// time to ask again.
func (s *slots) poll(queue string) (changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	polls := 0
	for _, n := range s.polling {
		polls += n
	}
	if s.alone == 0 && (s.busy+polls < s.most || s.busy < s.most && s.polling[queue] == 0) {
		s.polling[queue]++
		return nil
	}
	return s.changed
}

func (s *slots) polled(queue string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.polling[queue]--
	s.free()
}

// ReserveSlot waits until another poll may begin.
func (s *slots) ReserveSlot(ctx context.Context, info worker.SlotReservationInfo) (*worker.SlotPermit, error) {
	queue := info.TaskQueue()
	for {
		changed := s.poll(queue)
		if changed == nil {
			return &worker.SlotPermit{UserData: &permit{queue: queue}}, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// TryReserveSlot refuses: tasks that come without a poll would pass by the order of the queue.
func (s *slots) TryReserveSlot(worker.SlotReservationInfo) *worker.SlotPermit { return nil }

// MarkSlotUsed notes that a poll has brought a task. The task takes its slot itself.
func (s *slots) MarkSlotUsed(info worker.SlotMarkUsedInfo) {
	if p, ok := info.Permit().UserData.(*permit); ok && !p.used {
		p.used = true
		s.polled(p.queue)
	}
}

// ReleaseSlot notes that a poll has ended without a task.
func (s *slots) ReleaseSlot(info worker.SlotReleaseInfo) {
	if p, ok := info.Permit().UserData.(*permit); ok && !p.used {
		p.used = true
		s.polled(p.queue)
	}
}

// MaxSlots says that there is no fixed number of polls.
func (s *slots) MaxSlots() int { return 0 }
