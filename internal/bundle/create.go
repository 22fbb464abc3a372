package bundle

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/have"
	"github.com/drayage/dray/internal/migrate"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/internal/volume"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/report"
)

// CreateRequest says what to put into a bundle: the images of a list, or those of a transfer.
type CreateRequest struct {
	// List plans the images of a list, whose targets are below target; nil if there is no list.
	List        func(ctx context.Context, s *place.Session, names *name.Reader, target string) (*survey.Draft, error)
	ListProof   oci.Proof
	SourceLogin *credential.Login // of the list
	Gate        gate.Gate         // of the list; nil admits all

	Transfer migrate.Request // if there is no list

	Since []string // files of lists of what the receiver has; "-" is Stdin
	Stdin io.Reader
	To    string // the file, or the directory if it ends with a slash
	Split int64  // the maximum bytes of a volume; 0 means one volume
	Made  time.Time
}

// Create makes a bundle. It copies the images into a directory beside req.To, which it removes when the
// bundle is written. If it is interrupted, or if an image fails, the directory stays, and Create continues
// there when it is called again.
//
// visit is called as for a transfer. If a step fails, no bundle is written, and the error is that of the step.
func Create(
	ctx context.Context, b *place.Base, names *name.Reader, req CreateRequest, obs event.Observer,
	visit func(report.Repository) error,
) (report.Transfer, error) {
	to := outputOf(req.To)
	if err := to.check(req.Split); err != nil {
		return report.Transfer{}, err
	}
	s, has, err := req.stage(to.partial())
	if err != nil {
		return report.Transfer{}, err
	}
	defer func() { _ = s.close() }() // what counts was synced when it was put
	sum, contents, err := req.gathered(ctx, into(b, s), names, s, has, obs, visit)
	if err == nil {
		sum.Bundle, err = s.pack(ctx, to, contents, req.Split, obs)
	}
	return sum, err
}

// stage opens a stage in dir, to which the receiver is what its lists say.
func (req CreateRequest) stage(dir string) (*stage, *have.List, error) {
	has, err := readSince(req.Since, req.Stdin)
	if err != nil {
		return nil, nil, err
	}
	s, err := openStage(dir, has, func(d oci.Digest) bool { _, there := has.Holder(d); return there })
	return s, has, err
}

// gathered copies what is requested into the stage, and finds out what of that the bundle has.
func (req CreateRequest) gathered(
	ctx context.Context, b *place.Base, names *name.Reader, s *stage, has *have.List, obs event.Observer,
	visit func(report.Repository) error,
) (report.Transfer, *volume.Contents, error) {
	var roots roots
	sum, err := req.copy(ctx, b, names, obs, func(r report.Repository) error {
		roots.add(r)
		return visit(r)
	})
	sum.Verb, sum.Unproven = verbCreate, 0 // what the receiver has is proven when it is loaded
	if err == nil && len(roots.all()) == 0 {
		err = &fault.Fault{Kind: fault.NotFound, Side: fault.Source, Op: "create bundle", Name: req.To,
			Err:  errors.New("no image was found that it could carry"),
			Hint: "check the names of the sources and the rules that select"}
	}
	if err != nil {
		s.removeEmpty()
		return sum, nil, err
	}
	contents, err := s.gather(ctx, roots.all(), req.Made)
	if err == nil {
		contents.Receiver = has.Of
	}
	return sum, contents, err
}

// copy copies what is requested into the stage.
func (req CreateRequest) copy(
	ctx context.Context, b *place.Base, names *name.Reader, obs event.Observer, visit func(report.Repository) error,
) (report.Transfer, error) {
	if req.List != nil {
		return copyListed(ctx, b, names, req.listed(Host), obs, visit)
	}
	t := req.Transfer
	t.Target = Host
	return migrate.Transfer(ctx, b, names, t, obs, visit)
}

func (req CreateRequest) listed(target string) copies {
	return copies{
		draft: func(ctx context.Context, s *place.Session, names *name.Reader) (*survey.Draft, error) {
			d, err := req.List(ctx, s, names, target)
			if err != nil {
				return nil, err
			}
			return d, checkTargets(d.Steps)
		},
		source: req.SourceLogin,
		proof:  req.ListProof,
		gate:   req.Gate,
	}
}

// checkTargets refuses a list in which a target is at a registry. A bundle does not know the receiver.
func checkTargets(steps []plan.Step) error {
	for _, s := range steps {
		if s.To.Host != "" && s.To.Host != Host {
			return fault.Misuse("create bundle", s.To.String(), "the target is at a registry, but a bundle holds paths",
				"leave the registry out of the target, and name it when the bundle is loaded")
		}
	}
	return nil
}

// readSince reads and merges lists of what the receiver has.
func readSince(paths []string, stdin io.Reader) (*have.List, error) {
	all := nothing()
	for _, path := range paths {
		if path == "-" && stdin != nil {
			one, err := have.Read(stdin, path)
			if err != nil {
				return nil, err
			}
			all.Merge(one)
			continue
		}
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &fault.Fault{Kind: fault.NotFound, Op: "read list", Name: path, Err: err, Hint: "check the path"}
		}
		if err != nil {
			return nil, stageFault("read list", path, err)
		}
		one, err := have.Read(f, path)
		f.Close()
		if err != nil {
			return nil, err
		}
		all.Merge(one)
	}
	return all, nil
}

// roots collects what the steps of a run put into a stage.
type roots struct {
	mu   sync.Mutex
	done []report.Step
}

func (r *roots) add(rep report.Repository) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range rep.Steps {
		if s.State == report.Done || s.State == report.Unchanged {
			r.done = append(r.done, s)
		}
	}
}

func (r *roots) all() []report.Step {
	slices.SortFunc(r.done, func(a, b report.Step) int { return a.To.Compare(b.To) })
	return r.done
}
