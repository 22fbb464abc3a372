package place

import (
	"context"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
)

// Verdicts remembers what a gate said about the images of one run, so that it is asked once about each.
// The zero Verdicts remembers nothing. It is safe for concurrent use.
type Verdicts struct {
	mu    sync.Mutex
	given map[Judged]*verdict
}

// Judged is what a verdict is about.
type Judged struct {
	Gate   string // the name of the gate; "" is that of the session
	Repo   ref.Repo
	Digest oci.Digest // of the image at its source
	Part   plan.Trim  // of the image that is copied
}

// verdict is an answer of a gate. Read err only after done is closed.
type verdict struct {
	done chan struct{}
	err  error
}

// Once returns what ask says about an image. If somebody has asked before, or is asking, that answer counts. An answer
// of the Kind Canceled is no answer: the next caller asks again.
func (k *Verdicts) Once(ctx context.Context, key Judged, ask func() error) error {
	for {
		v, mine := k.claim(key)
		if mine {
			v.err = ask()
			k.settle(key, v)
			return v.err
		}
		select {
		case <-v.done:
		case <-ctx.Done():
			return &fault.Fault{Kind: fault.Canceled, Op: "check", Name: key.Repo.At(string(key.Digest)).String(),
				Err: context.Cause(ctx)}
		}
		if !fault.Is(v.err, fault.Canceled) {
			return v.err
		}
	}
}

// claim returns the verdict about an image. If it is mine, the caller has to ask.
func (k *Verdicts) claim(key Judged) (v *verdict, mine bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if v := k.given[key]; v != nil {
		return v, false
	}
	if k.given == nil {
		k.given = map[Judged]*verdict{}
	}
	v = &verdict{done: make(chan struct{})}
	k.given[key] = v
	return v, true
}

// settle tells those who wait.
func (k *Verdicts) settle(key Judged, v *verdict) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if fault.Is(v.err, fault.Canceled) {
		delete(k.given, key)
	}
	close(v.done)
}
