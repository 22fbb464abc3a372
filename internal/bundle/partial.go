package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/layout"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/internal/volume"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/ref"
	"github.com/drayage/dray/report"
)

// LoadRequest asks to load a bundle into a registry.
type LoadRequest struct {
	Paths       []string // files and directories with volumes of one bundle
	Target      string   // a registry, a prefix in it, or a layout
	Overwrite   plan.Overwrite
	Backup      plan.Backup
	Receipt     string    // the file of the receipt
	Gate        gate.Gate // nil admits all
	TargetLogin *credential.Login
	Now         time.Time
}

// loading is the state of one load.
type loading struct {
	LoadRequest
	base  *place.Base
	names *name.Reader
	to    name.End
	apart bool // the target is a directory with a layout for each repository
	set   *volume.Set
	obs   event.Observer
	sum   report.Transfer

	attached volume.Attached // all names of the bundle
}

// repo returns the repository of the receiver for a path of the bundle.
func (l *loading) repo(path string) ref.Repo {
	dir := ref.Repo{Host: l.to.Host, Dir: filepath.Clean(l.to.Prefix)}
	switch {
	case l.to.OnDisk() && l.apart:
		dir.Dir = filepath.Join(dir.Dir, filepath.FromSlash(path))
		return dir
	case l.to.OnDisk():
		return dir.In(path)
	}
	return ref.Repo{Host: l.to.Host, Path: l.to.Prefix + path}
}

// maxSending limits how many blobs of names that wait are sent at once.
const maxSending = 8

// waiting is a name that needs blobs of volumes that are not given, and that the receiver does not have, or whose
// company needs such blobs.
type waiting struct {
	name     volume.Name
	attached bool // it travels with an image, which waits too
	lack     []oci.Digest
}

// divide returns the names that can be loaded with the volumes that are given, and the others.
func (l *loading) divide(ctx context.Context, s *place.Session) (complete []volume.Name, others []waiting, err error) {
	away := map[oci.Digest]volume.Blob{}
	for _, b := range l.set.Contents.Blobs {
		if !l.set.Has(b.Digest) {
			away[b.Digest] = b
		}
	}
	if len(away) == 0 {
		return l.set.Contents.Names, nil, nil
	}
	lacks, waits := map[int][]oci.Digest{}, map[int]bool{}
	for i, n := range l.attached.Names {
		all, err := l.set.Needs(n.Digest)
		if err != nil {
			return nil, nil, err
		}
		var blobs []oci.Descriptor
		for d := range all {
			if b, ok := away[d]; ok {
				blobs = append(blobs, oci.Descriptor{Digest: d, Size: b.Size})
			}
		}
		lack, err := l.missing(ctx, s, n, blobs)
		if err != nil {
			return nil, nil, err
		}
		for _, b := range lack {
			lacks[i], waits[i] = append(lacks[i], b.Digest), true
		}
	}
	l.attached.Spread(waits)
	for i, n := range l.attached.Names {
		if waits[i] {
			others = append(others, waiting{name: n, attached: len(l.attached.With[i]) > 0, lack: lacks[i]})
		} else {
			complete = append(complete, n)
		}
	}
	return complete, others, nil
}

// rightReceiver checks that the target has the blobs that the bundle leaves out, if their list was that of another
// receiver. It may be the same one under another name.
func (l *loading) rightReceiver(ctx context.Context, s *place.Session) error {
	listed := l.set.Contents.Receiver
	if listed == "" || listed == l.to.String() {
		return nil
	}
	absent := map[string][]oci.Descriptor{}
	for _, b := range l.set.Contents.Absent {
		absent[b.At] = append(absent[b.At], oci.Descriptor{Digest: b.Digest, Size: b.Size})
	}
	lacks := 0
	for _, path := range slices.Sorted(maps.Keys(absent)) {
		lack, err := l.missing(ctx, s, volume.Name{Repo: path}, absent[path])
		if err != nil {
			return err
		}
		lacks += len(lack)
	}
	if lacks == 0 {
		return nil
	}
	why := fmt.Sprintf("the bundle is for %s and leaves out what that has, and this target lacks %d of these %d blobs",
		listed, lacks, len(l.set.Contents.Absent))
	return &fault.Fault{Kind: fault.NotFound, Side: fault.Target, Op: "load bundle", Name: l.to.String(),
		Err: errors.New(why), Hint: "load it into " + listed + ", or list what this target has, with " +
			shell.Dray("bundle", "have", l.to.String()) + ", and make a bundle from that list"}
}

// missing returns those of blobs that the repository of n lacks at the receiver. It asks for each: a repository that
// has the blobs of an earlier volume and no tag yet seems to be empty.
func (l *loading) missing(
	ctx context.Context, s *place.Session, n volume.Name, blobs []oci.Descriptor,
) ([]oci.Descriptor, error) {
	if len(blobs) == 0 {
		return nil, nil
	}
	at, err := s.Target(ctx, l.repo(n.Repo), layout.Write)
	if err != nil {
		return nil, err
	}
	return at.Prove(ctx, blobs)
}

// waitFor sends the blobs that are given of names that wait, and notes which volumes they wait for.
func (l *loading) waitFor(ctx context.Context, s *place.Session, names []waiting) error {
	if len(names) == 0 {
		return nil
	}
	volumes := map[oci.Digest]int{}
	sizes := map[oci.Digest]int64{}
	for _, b := range l.set.Contents.Blobs {
		volumes[b.Digest], sizes[b.Digest] = b.Volume, b.Size
	}
	l.awaits(names)
	for _, w := range names {
		all, err := l.set.Needs(w.name.Digest)
		if err != nil {
			return err
		}
		var blobs []oci.Descriptor
		for _, d := range slices.Sorted(maps.Keys(all)) {
			if _, isBlob := volumes[d]; isBlob && l.set.Has(d) {
				blobs = append(blobs, oci.Descriptor{Digest: d, Size: sizes[d]})
			}
		}
		if err := l.send(ctx, s, w.name, blobs); err != nil {
			return err
		}
	}
	return nil
}

// awaits notes the names that wait, and the volumes that they wait for.
func (l *loading) awaits(names []waiting) {
	volumes := map[oci.Digest]int{}
	for _, b := range l.set.Contents.Blobs {
		volumes[b.Digest] = b.Volume
	}
	rep := l.sum.Bundle
	for _, w := range names {
		if !w.attached {
			rep.WaitingNames = append(rep.WaitingNames, w.name.String())
		}
		for _, d := range w.lack {
			if n := volumes[d]; !slices.Contains(rep.Waiting, n) {
				rep.Waiting = append(rep.Waiting, n)
			}
		}
	}
	slices.Sort(rep.Waiting)
}

// send sends blobs of the bundle to the repository of a name.
func (l *loading) send(ctx context.Context, s *place.Session, n volume.Name, blobs []oci.Descriptor) error {
	at, err := s.Target(ctx, l.repo(n.Repo), layout.Write)
	if err != nil {
		return err
	}
	lack, err := l.missing(ctx, s, n, blobs)
	if err != nil {
		return err
	}
	to := s.Shared.Target(at)
	var mu sync.Mutex
	return place.Each(ctx, maxSending, lack, func(ctx context.Context, b oci.Descriptor) error {
		got, err := to.Put(ctx, b, nil, func(_ context.Context, from int64) (io.ReadCloser, error) {
			return l.set.Blob(b.Digest, from, -1)
		})
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			return err
		case got.Way == oci.Sent:
			l.sum.Blobs.Sent++
			l.sum.Blobs.Bytes += got.Sent
		case got.Way == oci.Mounted:
			l.sum.Blobs.Mounted++
		default:
			l.sum.Blobs.Present++
		}
		return nil
	})
}
