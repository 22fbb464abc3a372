package subject

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/remote/ask"
	"github.com/drayage/dray/internal/remote/limit"
	"github.com/drayage/dray/internal/remote/push"
	"github.com/drayage/dray/internal/remote/read"
	"github.com/drayage/dray/internal/remote/wire"
	"github.com/drayage/dray/oci"
)

const (
	// maxLost is how often another list may replace ours before we give up.
	maxLost = 20
	// minSettle and maxSettle are bounds of how long to wait before a list is read back.
	minSettle, maxSettle = 50 * time.Millisecond, time.Second
)

// Keeper adds documents to the lists of their subjects in one repository. It is safe for concurrent
// use.
type Keeper struct {
	*ask.Handle
	Read *read.Reader
	Put  *push.Pusher // makes one attempt: what is put again must be read again first
	Desk *Desk

	// Allow is asked before a referrers tag is set to list; was is the digest that it had, or "". An error leaves the
	// tag as it is. nil allows all.
	Allow func(ctx context.Context, tag string, was oci.Digest, list oci.Descriptor) error
}

// Acknowledge returns when the registry lists doc as a referrer of its subject. Call it after the
// registry has stored doc and did not say OCI-Subject. If the referrers API has doc, nothing is to do.
// Otherwise the referrers tag gets it.
func (k *Keeper) Acknowledge(ctx context.Context, doc oci.Document) error {
	listed, has, err := k.listed(ctx, doc)
	if listed || err != nil {
		return err
	}
	c := k.call(doc)
	if err := k.add(ctx, c, doc); err != nil || !has {
		return err
	}
	// The registry has the API, which now must know the tag as well. It may do so a little later.
	for n := range 3 {
		if listed, _, err := k.listed(ctx, doc); listed || err != nil {
			return err
		}
		if err := limit.Sleep(ctx, maxSettle<<n); err != nil {
			return c.Stopped(ctx, err)
		}
	}
	return c.Fault(fault.Refused, "ask whoever runs the registry why its referrers API leaves it out",
		fmt.Errorf("the registry stored it, but does not list it as a referrer of %s", doc.Subject.Digest))
}

// listed reports whether the referrers API lists doc, and whether the registry has the API.
func (k *Keeper) listed(ctx context.Context, doc oci.Document) (listed, has bool, err error) {
	all, has, err := k.Read.ReferrersByAPI(ctx, *doc.Subject)
	for _, d := range all {
		listed = listed || d.Digest == doc.Digest
	}
	return listed, has, err
}

func (k *Keeper) call(doc oci.Document) *wire.Call {
	return k.Call("list referrer", "PUT", "/manifests/"+oci.FallbackTag(doc.Subject.Digest), k.At(string(doc.Digest)))
}

// add adds doc to the list that the referrers tag points to.
func (k *Keeper) add(ctx context.Context, c *wire.Call, doc oci.Document) error {
	tag := oci.FallbackTag(doc.Subject.Digest)
	q, leave := k.Desk.join(key{k.Repo, tag}, doc.AsReferrer())
	defer leave()
	if err := q.turn.Enter(ctx); err != nil {
		return c.Stopped(ctx, err)
	}
	defer q.turn.Leave()
	if !q.waits(doc.Digest) {
		return nil // somebody else has added it meanwhile
	}
	w := &writing{Keeper: k, call: c, doc: doc, tag: tag, queue: q, budget: k.Host.Budget(c)}
	for q.waits(doc.Digest) {
		if err := w.round(ctx); err != nil {
			return w.failed(ctx, err)
		}
	}
	return nil
}

// writing changes one list until it has all that was waiting for it.
type writing struct {
	*Keeper
	call   *wire.Call
	doc    oci.Document
	tag    string
	queue  *queue
	budget *ask.Budget

	was       oci.Digest // of the list that was read last, or ""
	forbidden error      // of Allow

	put  oci.Document // the list that was put last; its Digest is "" before that
	last *list        // what put holds
	lost int          // how often another list had replaced ours
}

// round reads the list once and, if anything is missing in it, puts another one and waits.
func (w *writing) round(ctx context.Context) error {
	begin := time.Now()
	now, err := w.read(ctx)
	if err != nil {
		return err
	}
	w.queue.done(now)
	if !w.queue.waits(w.doc.Digest) {
		return nil
	}
	for _, d := range w.queue.all() {
		now.add(d)
	}
	doc, ok := now.document()
	if !ok {
		return w.tooLong()
	}
	err = w.set(ctx, doc)
	switch {
	case w.forbidden != nil:
		return err
	case fault.Is(err, fault.NotFound):
		return w.prune(ctx, now, err)
	case ask.Passing(err):
		w.put = oci.Document{}
		return w.budget.Wait(ctx, err) // it may have been stored: it is read again in any case
	case err != nil:
		return err
	}
	w.put, w.last = doc, now
	return w.settle(ctx, time.Since(begin))
}

// set puts the list under the tag, if it may.
func (w *writing) set(ctx context.Context, list oci.Document) error {
	if w.Allow != nil {
		if w.forbidden = w.Allow(ctx, w.tag, w.was, list.Descriptor); w.forbidden != nil {
			return w.forbidden
		}
	}
	_, err := w.Put.PutDocument(ctx, list, w.tag)
	return err
}

// settle waits before the list is read back. Another client may have read the list before this one
// put it, and put its own after that. It takes as long as we did, if it is as far away. After a loss,
// others are at work for certain, and the wait is longer and random, so that not all write in step.
func (w *writing) settle(ctx context.Context, took time.Duration) error {
	d := min(max(2*took, minSettle), maxSettle)
	if w.lost > 0 {
		d = maxSettle + rand.N(maxSettle<<min(w.lost, 4)) //nolint:gosec // spreads the load; needs no secure randomness
	}
	return limit.Sleep(ctx, d)
}

// read returns the list as it is now.
func (w *writing) read(ctx context.Context) (*list, error) {
	d, err := w.Read.Straight(ctx, w.tag)
	w.was = d.Digest
	switch {
	case fault.Is(err, fault.NotFound) && w.put.Digest == "":
		return empty(), nil
	case err == nil && d.Digest == w.put.Digest:
		return w.last, nil
	case err != nil && !fault.Is(err, fault.NotFound):
		return nil, err
	}
	if w.put.Digest != "" {
		if err := w.replaced(); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return empty(), nil
	}
	doc, err := w.Read.Document(ctx, string(d.Digest))
	if fault.Is(err, fault.NotFound) {
		doc, err = w.Read.Document(ctx, w.tag) // the tag has moved, and the registry kept nothing of what it pointed to
	}
	if err != nil {
		return nil, err
	}
	l, ok := parse(doc, w.doc.Subject.Digest)
	if !ok {
		return nil, w.call.Fault(fault.Conflict, "remove this tag, or copy the image to a registry with the referrers API",
			fmt.Errorf("the registry has no referrers API, and the tag %s points to something else than the list that "+
				"takes its place: %s of type %s", w.tag, doc.Digest, doc.MediaType))
	}
	return l, nil
}

// replaced records that the list which was put is not there any more.
func (w *writing) replaced() error {
	if w.lost++; w.lost > maxLost {
		return w.call.Fault(fault.Conflict, "run it again when no other client adds referrers to this image",
			fmt.Errorf("other clients replaced the list under %s %d times", w.tag, maxLost))
	}
	w.put = oci.Document{}
	return nil
}

// prune removes entries from the list whose documents the registry does not have any more, because a
// registry that checks refuses the list otherwise. cause is its refusal.
func (w *writing) prune(ctx context.Context, l *list, cause error) error {
	have, mu := map[oci.Digest]bool{}, sync.Mutex{}
	places, failed := make(limit.Gate, limit.Abreast), error(nil)
	var wg sync.WaitGroup
	for _, d := range l.digests {
		wg.Go(func() {
			if places.Enter(ctx) != nil {
				return
			}
			defer places.Leave()
			_, err := w.Read.Straight(ctx, string(d))
			mu.Lock()
			defer mu.Unlock()
			if have[d] = err == nil; err != nil && !fault.Is(err, fault.NotFound) {
				failed = err
			}
		})
	}
	wg.Wait()
	gone := len(l.digests)
	l.keep(have)
	gone -= len(l.digests)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case failed != nil:
		return failed
	case gone == 0, !have[w.doc.Digest]:
		return cause
	}
	doc, ok := l.document()
	if !ok {
		return w.tooLong()
	}
	if err := w.set(ctx, doc); err != nil {
		return err
	}
	w.put, w.last = doc, l
	w.Observe.Tell(event.Event{Kind: event.Noted, Host: w.Host.Name, Name: w.call.Name, Count: gone,
		Text: fmt.Sprintf("the list under %s named %d that the registry does not have any more; they are left out",
			w.tag, gone)})
	return w.settle(ctx, 0)
}

func (w *writing) tooLong() error {
	return w.call.Fault(fault.TooLarge, "remove referrers that nobody needs any more",
		fmt.Errorf("the list under %s has more than %d entries or %d MiB", w.tag, maxEntries, oci.MaxDocument>>20))
}

// failed returns err as the error of the document whose subject does not list it.
func (w *writing) failed(ctx context.Context, err error) error {
	if w.forbidden != nil {
		return w.call.Stopped(ctx, err)
	}
	var f *fault.Fault
	if ctx.Err() != nil || !fault.Is(err, fault.Conflict) || errors.As(err, &f) && f.Op == w.call.Op {
		return w.call.Stopped(ctx, err)
	}
	algorithm, _, _ := strings.Cut(w.tag, "-")
	return w.call.Fault(fault.Conflict, "let the registry move tags that begin with "+algorithm+
		"-, or copy the image to a registry with the referrers API",
		fmt.Errorf("the registry has no referrers API, and does not change the tag that takes its place: %w", err))
}
