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
	given map[judged]*verdict
}

// judged is an image of a source repository, or the part of it that is copied.
type judged struct {
	repo   ref.Repo
	digest oci.Digest
	part   plan.Trim
}

// verdict is an answer of a gate. Read err only after done is closed.
type verdict struct {
	done chan struct{}
	err  error
}

// Once returns what ask says about the image d of repo, of which part is copied. If somebody has asked before, or is
// asking, that answer counts. An answer of the Kind Canceled is no answer: the next caller asks again.
func (k *Verdicts) Once(ctx context.Context, repo ref.Repo, d oci.Digest, part plan.Trim, ask func() error) error {
	key := judged{repo, d, part}
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
			return &fault.Fault{Kind: fault.Canceled, Op: "check", Name: repo.At(string(d)).String(), Err: context.Cause(ctx)}
		}
		if !fault.Is(v.err, fault.Canceled) {
			return v.err
		}
	}
}

// claim returns the verdict about an image. If it is mine, the caller has to ask.
func (k *Verdicts) claim(key judged) (v *verdict, mine bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if v := k.given[key]; v != nil {
		return v, false
	}
	if k.given == nil {
		k.given = map[judged]*verdict{}
	}
	v = &verdict{done: make(chan struct{})}
	k.given[key] = v
	return v, true
}

// settle tells those who wait.
func (k *Verdicts) settle(key judged, v *verdict) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if fault.Is(v.err, fault.Canceled) {
		delete(k.given, key)
	}
	close(v.done)
}
