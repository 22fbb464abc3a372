package ends

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// Writing holds the ends that one run writes. Its methods are safe for concurrent use. Its fields
// must be set before it is used.
type Writing struct {
	Reading *Reading
	Output  io.Writer // the standard output; nil means that it must not be written

	mu   sync.Mutex
	open map[ref.Repo]*stage
}

// Target is a repository of an end that is being written.
type Target struct{ *layout.Dir }

// Open opens the repository repo of an end that is not a layout, for writing. What is written appears
// at the end when Commit is called. If the end exists, what it holds stays in it.
//
// The error is Conflict if the end is something else, or if another process writes it now.
func (w *Writing) Open(ctx context.Context, repo ref.Repo) (Target, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	end := repo.In("")
	g, ok := w.open[end]
	if !ok {
		if err := w.oneStream(end); err != nil {
			return Target{}, err
		}
		for other := range w.open {
			if Same(end, other) {
				return Target{}, Twice(end, other)
			}
		}
		var err error
		if g, err = begin(ctx, w.Reading, w.Output, end); err != nil {
			return Target{}, err
		}
		if w.open == nil {
			w.open = map[ref.Repo]*stage{}
		}
		w.open[end] = g
	}
	dir, err := g.layouts.Stage(repo, g.layoutDir(), g.over)
	return Target{dir}, err
}

// oneStream returns an error if end is the standard output, and another archive goes there.
func (w *Writing) oneStream(end ref.Repo) error {
	if end.Dir != ref.Stream {
		return nil
	}
	for other := range w.open {
		if other.Dir == ref.Stream {
			return &fault.Fault{Kind: fault.Invalid, Op: "open archive", Name: end.String(),
				Err: fmt.Errorf("the standard output takes one archive, and that is %s", other), Hint: "name a file"}
		}
	}
	return nil
}

// Keeps implements transfer.Target. An archive of docker keeps images of one platform, because docker
// load reads no more.
func (t Target) Keeps(docs, blobs []oci.Descriptor) error {
	if t.Repo().Host != ref.DockerArchive {
		return t.Dir.Keeps(docs, blobs)
	}
	var platforms []string
	for _, d := range docs {
		if p := d.Platform; p != nil && p.OS != "unknown" {
			platforms = append(platforms, oci.PlatformString(p))
		}
	}
	if len(platforms) < 2 {
		return nil
	}
	return manyPlatforms(t.Repo().String(), platforms)
}

// Committed is the outcome for one end.
type Committed struct {
	End  ref.Repo
	Err  error  // why the end was not written
	Kept string // the directory where what arrived stays for the next run; "" if there is nothing

	// Nameless are the images in an archive that docker load shows without a name, by their tags or digests.
	Nameless []string
}

// Commit makes the ends for which wanted is true. The other ends stay as they were. It returns the
// outcome of every end that was opened, and closes all of them.
func (w *Writing) Commit(ctx context.Context, wanted func(end ref.Repo) bool) []Committed {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Committed
	for end, g := range w.open {
		c := Committed{End: end}
		if wanted(end) {
			c.Err = g.commit(ctx)
		}
		if c.Err == nil {
			c.Nameless = g.nameless
		}
		switch {
		case fault.Is(c.Err, fault.Refused): // the next run would be refused, too
			os.RemoveAll(g.part)
		case c.Err != nil, !wanted(end):
			c.Kept = g.keep()
		}
		c.Err = cmp.Or(c.Err, g.release())
		all = append(all, c)
	}
	clear(w.open)
	slices.SortFunc(all, func(a, b Committed) int {
		return cmp.Compare(a.End.String(), b.End.String())
	})
	return all
}
