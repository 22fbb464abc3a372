package bundle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/gate"
	"github.com/drayage/dray/internal/name"
	"github.com/drayage/dray/internal/place"
	"github.com/drayage/dray/internal/survey"
	"github.com/drayage/dray/internal/volume"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
	"github.com/drayage/dray/report"
)

// RemakeRequest asks to make volumes of a bundle again.
type RemakeRequest struct {
	To          string // the file of the bundle, as it was given to Create
	Only        []int  // the numbers of the volumes
	SourceLogin *credential.Login
	Gate        gate.Gate // nil admits all
}

// Remake makes volumes of a bundle again, byte by byte the same. It reads the list of contents from any
// volume beside req.To, and the content from the repositories that it came from, by digest.
func Remake(
	ctx context.Context, b *place.Base, names *name.Reader, req RemakeRequest, obs event.Observer,
	visit func(report.Repository) error,
) (report.Transfer, error) {
	to := outputOf(req.To)
	a, split, err := readEarlier(to)
	if err != nil {
		return report.Transfer{}, err
	}
	for _, n := range req.Only {
		if n < 1 || n > a.Contents.Volumes {
			return report.Transfer{}, fault.Misuse("create bundle", to.path, fmt.Sprintf("there is no volume %d", n),
				fmt.Sprintf("name a volume between 1 and %d", a.Contents.Volumes))
		}
	}
	needed := map[oci.Digest]bool{}
	for _, blob := range a.Contents.Blobs {
		if slices.Contains(req.Only, blob.Volume) {
			needed[blob.Digest] = true
		}
	}
	s, err := openStage(to.partial(), nothing(), func(d oci.Digest) bool { return !needed[d] })
	if err != nil {
		return report.Transfer{}, err
	}
	defer func() { _ = s.close() }() // what counts was synced when it was put
	c := copies{source: req.SourceLogin, gate: req.Gate, draft: pinned(a.Contents)}
	sum, err := copyListed(ctx, into(b, s), names, c, obs, visit)
	if err != nil {
		return sum, err
	}
	sum.Bundle, err = s.packOnly(ctx, to, a, split, req.Only, obs)
	return sum, err
}

// pinned plans to copy the names of a bundle by their digests.
func pinned(c volume.Contents) func(context.Context, *place.Session, *name.Reader) (*survey.Draft, error) {
	return func(ctx context.Context, s *place.Session, names *name.Reader) (*survey.Draft, error) {
		var entries []plan.Entry
		for _, n := range c.Names {
			e := plan.Entry{Source: n.From + "@" + string(n.Digest), Targets: []string{n.Repo}, Paths: true}
			if n.Tag != "" {
				e.Targets[0] += ":" + n.Tag
			}
			entries = append(entries, e)
		}
		list := survey.List{Entries: entries, Target: Host}
		return survey.Batch(ctx, s, names, list, survey.Rules{Verb: "batch", Overwrite: plan.Update})
	}
}

// readEarlier reads the list of contents from the volumes of a bundle that are there. split is not 0 if the
// files are numbered.
func readEarlier(to output) (a *volume.Arranged, split int64, err error) {
	var first error
	for _, path := range to.volumes() {
		set, err := volume.Open(path)
		if err != nil {
			first = cmp.Or(first, err)
			continue
		}
		a, err := set.Arranged()
		set.Close()
		if err != nil {
			return nil, 0, err
		}
		if path != to.path {
			split = 1
		}
		return a, split, nil
	}
	return nil, 0, cmp.Or(first, error(&fault.Fault{
		Kind: fault.NotFound, Op: "read bundle", Name: to.path,
		Err:  errors.New("no volume of the bundle is there, and each has the list of what to make again"),
		Hint: "put any volume of the bundle there, or make the bundle anew without --only",
	}))
}

// packOnly writes some volumes of a bundle and removes the stage.
func (s *stage) packOnly(
	ctx context.Context, to output, a *volume.Arranged, split int64, only []int, obs event.Observer,
) (*report.Bundle, error) {
	rep := reportOn(a)
	for _, n := range only {
		path := to.volume(n, split)
		file, err := s.packVolume(ctx, a, n, path, obs)
		if err != nil {
			return nil, err
		}
		if err := os.Rename(file, path); err != nil {
			return nil, stageFault("write bundle", path, err)
		}
		size, err := a.Size(n)
		if err != nil {
			return nil, err
		}
		rep.Volumes = append(rep.Volumes, report.Volume{File: path, Number: n, Bytes: size})
	}
	if err := s.close(); err != nil {
		return nil, stageFault("close stage", s.dir, err)
	}
	if err := s.remove(); err != nil {
		return nil, stageFault("remove stage", s.dir, err)
	}
	return rep, nil
}
