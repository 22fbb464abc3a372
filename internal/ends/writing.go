package ends

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
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
		var err error
		if g, err = w.begin(ctx, end); err != nil {
			return Target{}, err
		}
		if w.open == nil {
			w.open = map[ref.Repo]*stage{}
		}
		w.open[end] = g
	}
	dir, err := layout.Stage(repo, g.layoutDir(), g.over)
	return Target{dir}, err
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

// manyPlatforms returns the error of an index for docker load.
func manyPlatforms(name string, platforms []string) error {
	slices.Sort(platforms)
	platforms = slices.Compact(platforms)
	some := strings.Join(platforms[:min(len(platforms), 10)], " ")
	if n := len(platforms) - 10; n > 0 {
		some += fmt.Sprintf(" and %d more", n)
	}
	return refused("put image", name, "an archive for docker load has one platform, and the image has several: "+some,
		"choose one with --platform, or write oci-archive:FILE")
}

// Committed is the outcome for one end.
type Committed struct {
	End  ref.Repo
	Err  error  // why the end was not written
	Kept string // the directory where what arrived stays for the next run; "" if there is nothing
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
			c.Err = g.commit(ctx, w)
		}
		if c.Err != nil || !wanted(end) {
			c.Kept = g.keep()
		}
		c.Err = errors.Join(c.Err, g.release())
		all = append(all, c)
	}
	clear(w.open)
	slices.SortFunc(all, func(a, b Committed) int {
		return cmp.Compare(a.End.String(), b.End.String())
	})
	return all
}

// occupied returns the error of an end that holds something else.
func occupied(end ref.Repo, err error) error {
	what := map[string]string{
		ref.Archive: "archive of an OCI image layout", ref.DockerArchive: "archive of docker", ref.Directory: "directory of an image",
	}[end.Host]
	return &fault.Fault{Kind: fault.Conflict, Op: "open " + end.Host, Name: end.String(),
		Err: fmt.Errorf("it exists and is not a readable %s: %w", what, err), Hint: "name another one, or remove it"}
}
