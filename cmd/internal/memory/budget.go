package memory

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/drayage/dray/fault"
)

// The kinds of memory of a Budget.
const (
	Small     = "small"     // bodies of up to 64 KiB that are being received
	Large     = "large"     // larger bodies
	Lines     = "lines"     // long lines of plans that are being uploaded
	Decoded   = "decoded"   // what bodies become when they are decoded, until the request is handled
	Manifests = "manifests" // what manifests become when they are decoded, until they are stored
	Jobs      = "jobs"      // jobs with large requests that run
)

// Kinds returns the kinds of memory, each of which a Budget has a part for.
func Kinds() []string { return []string{Small, Large, Lines, Decoded, Manifests, Jobs} }

// Budget limits the memory that all requests together take at the same time, to 108 MiB, and that of jobs, to 64 MiB.
// Each kind of memory has its own part, so that bodies that arrive slowly keep nobody from decoding, and nobody waits
// for those who wait for others. No client has more than half of what is received.
//
// What does not fit waits for some seconds. A Budget is safe for concurrent use. A nil Budget has no limits.
type Budget struct {
	pools map[string]*pool
}

// Options says how a Budget behaves.
type Options struct {
	Patience time.Duration // how long a request waits for memory; 0 means 10 s
	// Process is the memory in bytes that the whole process may have. With less than some 270 MiB, what requests and
	// jobs are decoded to has less of it. 0 means that it is no limit.
	Process int64
}

const (
	rest = 48 << 20  // what a process takes beside the Budget
	most = 220 << 20 // what a full Budget takes with what the garbage collector has not found yet
)

// New returns a Budget.
func New(o Options) *Budget {
	wait := cmp.Or(o.Patience, 10*time.Second)
	of := func(n int64) int64 {
		if o.Process <= 0 || o.Process >= rest+most {
			return n
		}
		return max(n/8, n*(o.Process-rest)/most)
	}
	return &Budget{map[string]*pool{
		Small:     {size: 4 << 20, share: 2 << 20, wait: wait},
		Large:     {size: 16 << 20, share: 8 << 20, wait: wait},
		Lines:     {size: 8 << 20, share: 4 << 20, wait: 6 * wait}, // as an upload may take long
		Decoded:   {size: of(40 << 20), share: of(40 << 20), wait: wait},
		Manifests: {size: of(40 << 20), share: of(40 << 20), wait: wait},
		Jobs:      {size: of(64 << 20), share: of(64 << 20)},
	}}
}

// Use says how a part of a Budget is used.
type Use struct {
	Size    int64 // bytes
	Used    int64 // bytes now
	Refused int64 // requests that it has refused
}

// Use returns the use of the part for kind.
func (b *Budget) Use(kind string) Use { return b.pools[kind].use() }

// Hold is what one request holds of a Budget. Its methods are not safe for concurrent use. A nil Hold has no limits.
type Hold struct {
	budget *Budget
	who    string
	has    map[string]int64
}

// Begin returns a Hold of the client who, which holds nothing yet. The caller must call Release.
func (b *Budget) Begin(who string) *Hold {
	if b == nil {
		return nil
	}
	return &Hold{b, who, map[string]int64{}}
}

// Take takes n bytes of a kind, in place of what it has taken of it before. The error is TooLarge for more than a
// client can have, Unavailable if they are not free in time, and that of ctx if it ends. The Hold has nothing of the
// kind then.
func (h *Hold) Take(ctx context.Context, kind string, n int64) error {
	if h == nil {
		return nil
	}
	p := h.budget.pools[kind]
	p.give(h.who, h.has[kind])
	h.has[kind] = 0
	err := p.take(ctx, h.who, n)
	if err == nil {
		h.has[kind] = n
	}
	return err
}

// TakeNow takes n bytes as Take does, but at most what a client can have, and does not wait. It reports whether they
// were free.
func (h *Hold) TakeNow(kind string, n int64) bool {
	if h == nil {
		return true
	}
	p := h.budget.pools[kind]
	p.give(h.who, h.has[kind])
	h.has[kind] = 0
	n = min(n, p.share)
	if !p.takeNow(h.who, n) {
		return false
	}
	h.has[kind] = n
	return true
}

// Release gives everything back.
func (h *Hold) Release() {
	if h == nil {
		return
	}
	for kind, n := range h.has {
		h.budget.pools[kind].give(h.who, n)
	}
	clear(h.has)
}

const retryAfter = 5 * time.Second

// pool is a number of bytes that requests take and give back.
type pool struct {
	size  int64
	share int64 // the most that one client may have
	wait  time.Duration

	mu      sync.Mutex
	used    int64
	by      map[string]int64 // what each client has
	waiting []*waiter        // the longest first
	refused int64
}

type waiter struct {
	who   string
	n     int64
	taken chan struct{} // closed when the bytes are taken
}

func (p *pool) use() Use {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Use{Size: p.size, Used: p.used, Refused: p.refused}
}

func (p *pool) take(ctx context.Context, who string, n int64) error {
	if n <= 0 {
		return nil
	}
	p.mu.Lock()
	if n > p.share {
		p.refused++
		p.mu.Unlock()
		return &fault.Fault{Kind: fault.TooLarge, Op: "read request",
			Err:  errors.New("it has more values than the server has memory for"),
			Hint: "send it in several smaller requests"}
	}
	w := &waiter{who, n, make(chan struct{})}
	p.waiting = append(p.waiting, w)
	p.grant()
	p.mu.Unlock()
	late := time.NewTimer(p.wait)
	defer late.Stop()
	select {
	case <-w.taken:
		return nil
	case <-ctx.Done():
	case <-late.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.waiting, w)
	if i < 0 { // it was taken meanwhile
		return nil
	}
	p.waiting = slices.Delete(p.waiting, i, i+1)
	p.grant() // the next one may be smaller
	if err := ctx.Err(); err != nil {
		return err
	}
	p.refused++
	return &fault.Fault{Kind: fault.Unavailable, Op: "read request", RetryAfter: retryAfter,
		Err:  errors.New("the memory for requests is taken by other requests"),
		Hint: "send it again later"}
}

func (p *pool) takeNow(who string, n int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) > 0 || p.used+n > p.size || p.by[who]+n > p.share {
		p.refused++
		return false
	}
	p.add(who, n)
	return true
}

// add counts n bytes that who takes.
func (p *pool) add(who string, n int64) {
	if n == 0 {
		return
	}
	if p.by == nil {
		p.by = map[string]int64{}
	}
	p.used, p.by[who] = p.used+n, p.by[who]+n
}

func (p *pool) give(who string, n int64) {
	if n == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used -= n
	if p.by[who] -= n; p.by[who] == 0 {
		delete(p.by, who)
	}
	p.grant()
}

// grant lets those take their bytes who wait, in their order. Nobody passes one who waits for bytes to become free, but
// one who has to wait for bytes of its own does not keep others waiting.
func (p *pool) grant() {
	left := p.waiting[:0]
	for i, w := range p.waiting {
		switch {
		case p.by[w.who]+w.n > p.share:
			left = append(left, w)
			continue
		case p.used+w.n > p.size:
			left = append(left, p.waiting[i:]...)
			clear(p.waiting[len(left):])
			p.waiting = left
			return
		}
		p.add(w.who, w.n)
		close(w.taken)
	}
	clear(p.waiting[len(left):])
	p.waiting = left
}
