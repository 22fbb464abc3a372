// Package turn decides which principal's job is started next. It keeps the order in memory, so that a
// decision costs the same however many principals and jobs there are.
package turn

import (
	"cmp"
	"container/heap"
	"slices"
)

// Order is the order of the principals that have queued jobs. The principal with the fewest running jobs is
// next; among equals, the one whose last job was started the longest ago; among those, the one that has
// waited longest. The zero Order has no principals. It is not safe for concurrent use.
type Order struct {
	all   map[string]*principal
	queue queue
	clock int64 // grows with each event
}

type principal struct {
	name    string
	running int
	turn    int64 // when a job of it was started last; 0 if that is not known
	since   int64 // since when it has had queued jobs
	at      int   // index in the queue; -1 if it has no queued jobs
}

// forgotten is the number of principals without jobs that are remembered. One that is forgotten counts as
// if none of its jobs had ever been started.
const forgotten = 10_000

// Queued notes that a principal has, or may have, a queued job.
func (o *Order) Queued(name string) {
	p := o.get(name)
	if p.at >= 0 {
		return
	}
	o.clock++
	p.since = o.clock
	heap.Push(&o.queue, p)
}

// Next returns the principal whose turn it is. ok is false if no principal has a queued job.
func (o *Order) Next() (name string, ok bool) {
	if len(o.queue) == 0 {
		return "", false
	}
	return o.queue[0].name, true
}

// Empty notes that a principal has no queued jobs.
func (o *Order) Empty(name string) {
	if p := o.get(name); p.at >= 0 {
		heap.Remove(&o.queue, p.at)
	}
	o.forget()
}

// Started notes that a job of a principal was started. undo takes this back.
func (o *Order) Started(name string) (undo func()) {
	p := o.get(name)
	was := p.turn
	o.clock++
	p.running, p.turn = p.running+1, o.clock
	o.queue.moved(p)
	return func() {
		p.running, p.turn = p.running-1, was
		o.queue.moved(p)
	}
}

// Ended notes that a running job of a principal ended.
func (o *Order) Ended(name string) {
	p := o.get(name)
	p.running--
	o.queue.moved(p)
}

func (o *Order) get(name string) *principal {
	p := o.all[name]
	if p == nil {
		p = &principal{name: name, at: -1}
		if o.all == nil {
			o.all = map[string]*principal{}
		}
		o.all[name] = p
	}
	return p
}

// forget removes the principals without jobs if they are too many.
func (o *Order) forget() {
	if len(o.all)-len(o.queue) <= 2*forgotten {
		return
	}
	var idle []*principal
	for _, p := range o.all {
		if p.at < 0 && p.running == 0 {
			idle = append(idle, p)
		}
	}
	slices.SortFunc(idle, func(a, b *principal) int { return cmp.Compare(b.turn, a.turn) })
	for _, p := range idle[min(forgotten, len(idle)):] {
		delete(o.all, p.name)
	}
}

// queue is a heap of the principals with queued jobs.
type queue []*principal

func (q queue) moved(p *principal) {
	if p.at >= 0 {
		heap.Fix(&q, p.at)
	}
}

func (q queue) Len() int { return len(q) }

func (q queue) Less(i, j int) bool {
	a, b := q[i], q[j]
	return cmp.Or(cmp.Compare(a.running, b.running), cmp.Compare(a.turn, b.turn), cmp.Compare(a.since, b.since)) < 0
}

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}

func (q *queue) Push(x any) {
	p := x.(*principal)
	p.at = len(*q)
	*q = append(*q, p)
}

func (q *queue) Pop() any {
	old := *q
	p := old[len(old)-1]
	p.at = -1
	*q = old[:len(old)-1]
	return p
}
