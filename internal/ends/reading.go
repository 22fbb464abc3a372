package ends

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/archive"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/ref"
)

// Reading opens ends for reading. It keeps each of them open until Close, so that an archive that is
// compressed, or that is the standard input, is read once. Its methods are safe for concurrent use.
// Its fields must be set before it is used.
type Reading struct {
	Input io.Reader // the standard input; nil means that it must not be read

	mu   sync.Mutex
	open map[ref.Repo]*reading
}

// Open opens the repository repo of an end that is not a layout.
func (r *Reading) Open(ctx context.Context, repo ref.Repo) (*layout.Dir, error) {
	files, err := r.Files(ctx, repo)
	if err != nil {
		return nil, err
	}
	return layout.Over(repo, files)
}

// Files returns the files of the end of repo, as those of a layout. If the file has changed since it
// was opened, it is opened again.
func (r *Reading) Files(ctx context.Context, repo ref.Repo) (layout.Files, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	end := repo.In("")
	if at, ok := r.open[end]; ok {
		if at.isCurrent() {
			return at.files, nil
		}
		delete(r.open, end)
		if err := at.close(); err != nil {
			return nil, err
		}
	}
	at, err := r.read(ctx, end)
	if err != nil {
		return nil, err
	}
	if r.open == nil {
		r.open = map[ref.Repo]*reading{}
	}
	r.open[end] = at
	return at.files, nil
}

func (r *Reading) read(ctx context.Context, end ref.Repo) (*reading, error) {
	if end.Host == ref.Directory {
		return readDirectory(end)
	}
	in := archive.Input{Name: end.String(), Path: end.Dir}
	at := &reading{}
	if end.Dir == ref.Stream {
		if r.Input == nil {
			return nil, noStream("open archive", end, "standard input")
		}
		in.Path, in.From = "", r.Input
	} else if info, err := os.Stat(end.Dir); err == nil {
		at.path, at.info = end.Dir, info
	}
	a, err := archive.Open(ctx, in)
	if err != nil {
		return nil, err
	}
	at.close, at.files = a.Close, inArchive{a}
	if end.Host == ref.DockerArchive {
		at.files, at.others, err = readDocker(ctx, end.String(), a)
	} else {
		err, at.others = isLayout(end, a), others(a, nil)
	}
	if err != nil {
		_ = a.Close() // err is what the caller needs to know
		return nil, err
	}
	return at, nil
}

// isLayout returns an error if an archive has no layout.
func isLayout(end ref.Repo, a *archive.Archive) error {
	_, err := a.Open(v1.ImageLayoutFile)
	if err == nil {
		return nil
	}
	if _, err := a.Open(tagsFile); err == nil {
		return refused("open archive", end.String(), "this is an archive of docker, and no OCI image layout",
			"write "+ref.Repo{Host: ref.DockerArchive, Dir: end.Dir}.String())
	}
	return refused("open archive", end.String(), "it is no OCI image layout, because it has no file "+v1.ImageLayoutFile,
		"pack the files of the layout, and not the directory that they are in")
}

// others returns the names of the files of an end that is open, as far as they are no part of a layout and of no
// image.
func (r *Reading) others(end ref.Repo) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok := r.open[end]; ok {
		return at.others
	}
	return nil
}

func noStream(op string, end ref.Repo, what string) error {
	return &fault.Fault{Kind: fault.Invalid, Op: op, Name: end.String(), Err: errors.New("there is no " + what + " here"),
		Hint: "name a file"}
}

// forget closes an end, because its file is replaced.
func (r *Reading) forget(end ref.Repo) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.open[end]
	if !ok {
		return nil
	}
	delete(r.open, end)
	return at.close()
}

// Close closes all ends and removes the temporary files.
func (r *Reading) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, at := range r.open {
		errs = append(errs, at.close())
	}
	clear(r.open)
	return errors.Join(errs...)
}
