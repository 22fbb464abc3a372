package layout

import (
	"context"
	"fmt"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
)

// change writes c to index.json. If the error is not nil, c was not written.
func (d *Dir) change(ctx context.Context, op string, c *change) error {
	c.done = make(chan error, 1)
	d.mu.Lock()
	d.waiting = append(d.waiting, c)
	d.mu.Unlock()
	select {
	case err := <-c.done:
		return err
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return d.withdraw(c, canceled(ctx, op, d.whole()))
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return d.withdraw(c, err)
	}
	defer unlock()
	if err := canceled(ctx, op, d.whole()); err != nil {
		return d.withdraw(c, err)
	}
	d.mu.Lock()
	all := d.waiting
	d.waiting = nil
	d.mu.Unlock()
	if len(all) > 0 { // none if another goroutine wrote them meanwhile
		err = d.write(all)
	}
	for _, c := range all {
		c.done <- err
	}
	return <-c.done
}

// withdraw takes a change back and returns err. If the change is being written, it returns the result of that.
func (d *Dir) withdraw(c *change, err error) error {
	d.mu.Lock()
	at := slices.Index(d.waiting, c)
	if at >= 0 {
		d.waiting = slices.Delete(d.waiting, at, at+1)
	}
	d.mu.Unlock()
	if at >= 0 {
		return err
	}
	return <-c.done
}

// write writes changes to index.json. The caller holds the lock.
func (d *Dir) write(all []*change) error {
	old, err := d.readIndex()
	if err != nil {
		return err
	}
	x := &index{before: old.before, after: old.after, entries: slices.Clone(old.entries)}
	if !x.apply(all) {
		return nil
	}
	raw := x.bytes()
	if len(raw) > maxIndex {
		return &fault.Fault{
			Kind: fault.TooLarge,
			Op:   "write " + v1.ImageIndexFile,
			Name: d.whole(),
			Err:  fmt.Errorf("%d bytes; the limit is %d", len(raw), maxIndex),
			Hint: "use another directory",
		}
	}
	if err := d.replace(v1.ImageIndexFile, raw); err != nil {
		return err
	}
	if info, err := d.root.Stat(v1.ImageIndexFile); err == nil && info.Size() == int64(len(raw)) {
		d.mu.Lock()
		d.current, d.seen = x, info
		d.mu.Unlock()
	}
	return nil
}

// apply makes changes in their order, and reports whether they changed anything. It replaces the first entry with a
// name in its position and removes other entries with that name. All other entries stay as they are.
func (x *index) apply(all []*change) bool {
	some := false
	for _, c := range all {
		if c.remove != nil {
			some = x.without(c.remove) || some
		}
	}
	some = x.point(all) || some
	some = x.list(all) || some
	within := map[string]bool{}
	for _, c := range all {
		for digest := range c.within {
			within[digest] = true
		}
	}
	return x.unlist(within) || some
}

// without removes or changes entries, and reports whether there were any.
func (x *index) without(remove func(entry) (entry, keeping)) bool {
	some, left := false, x.entries[:0]
	for _, e := range x.entries {
		e, what := remove(e)
		some = some || what != kept
		if what != removed {
			left = append(left, e)
		}
	}
	x.entries = left
	return some
}

// point makes names refer to documents, and reports whether that changed the index.
func (x *index) point(all []*change) bool {
	wants := map[label]oci.Descriptor{}
	var order []label
	for _, c := range all {
		for _, l := range c.names {
			if _, again := wants[l]; !again {
				order = append(order, l)
			}
			wants[l] = c.doc
		}
	}
	had, left, some := map[label]bool{}, x.entries[:0], false
	for _, e := range x.entries {
		i := slices.IndexFunc(e.labels, func(l label) bool { _, ok := wants[l]; return ok })
		if i < 0 {
			left = append(left, e)
			continue
		}
		l := e.labels[i]
		doc := wants[l]
		switch {
		case had[l]:
			some = true
		case e.Digest == string(doc.Digest) && e.Size == doc.Size:
			had[l] = true
			left = append(left, e)
		default:
			had[l], some = true, true
			left = append(left, newEntry(l, doc))
		}
	}
	for _, l := range order {
		if !had[l] {
			left, some = append(left, newEntry(l, wants[l])), true
		}
	}
	x.entries = left
	return some
}

// list ensures that each document that gets no name has an entry, and reports whether it added one.
func (x *index) list(all []*change) bool {
	wants := map[string]*change{}
	var order []string
	for _, c := range all {
		if digest := string(c.doc.Digest); len(c.names) == 0 && c.remove == nil && wants[digest] == nil {
			wants[digest] = c
			order = append(order, digest)
		}
	}
	if len(wants) == 0 {
		return false
	}
	for _, e := range x.entries {
		delete(wants, e.Digest)
	}
	for _, digest := range order {
		if c := wants[digest]; c != nil {
			x.entries = append(x.entries, newEntry(label{}, c.doc))
		}
	}
	return len(wants) > 0
}

// unlist removes the entries of these digests that have neither a name nor annotations. It
// reports whether there were any. It keeps an entry with an uncommon media type, because the
// document may not contain its media type itself.
func (x *index) unlist(digests map[string]bool) bool {
	before := len(x.entries)
	x.entries = slices.DeleteFunc(x.entries, func(e entry) bool {
		return digests[e.Digest] && isCommon(e.MediaType) && e.isBare()
	})
	return len(x.entries) != before
}
