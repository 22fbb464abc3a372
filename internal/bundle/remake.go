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
	"github.com/drayage/dray/ref"
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
// volume beside req.To, and the content from the repositories that it came from, by digest. Of a bundle that is a
// directory, it makes only the files again that are damaged or missing.
func Remake(
	ctx context.Context, b *place.Base, names *name.Reader, req RemakeRequest, obs event.Observer,
	visit func(report.Repository) error,
) (report.Transfer, error) {
	to := outputOf(req.To)
	to.dir = isDir(to.path)
	old, err := readEarlier(ctx, to)
	if err != nil {
		return report.Transfer{}, err
	}
	all := old.Contents
	for _, n := range req.Only {
		if n < 1 || n > all.Volumes {
			return report.Transfer{}, fault.Misuse("create bundle", to.path, fmt.Sprintf("there is no volume %d", n),
				fmt.Sprintf("name a volume between 1 and %d", all.Volumes))
		}
	}
	if to.dir && len(old.broken) == 0 {
		return report.Transfer{Verb: verbCreate, Bundle: reportOn(old.Arranged),
			Notes: []string{"nothing in " + to.path + " is damaged, so nothing is made again"}}, nil
	}
	needed := map[oci.Digest]bool{}
	for _, blob := range all.Blobs {
		if slices.Contains(req.Only, blob.Volume) && (!to.dir || old.broken[blob.Digest]) {
			needed[blob.Digest] = true
		}
	}
	s, err := openStage(to.partial(), nothing(), func(d oci.Digest) bool { return !needed[d] })
	if err != nil {
		return report.Transfer{}, err
	}
	defer func() { _ = s.close() }() // what counts was synced when it was put
	c := copies{source: req.SourceLogin, gate: req.Gate, names: all.Names, draft: pinned(all, names)}
	sum, err := copyListed(ctx, into(b, s), names, c, obs, visit)
	sum.Verb = verbCreate
	if err != nil {
		return sum, err
	}
	sum.Bundle, err = s.packOnly(ctx, to, old, req.Only, obs)
	return sum, err
}

// pinned plans to copy the names of a bundle by their digests. That they are digests needs no notes.
func pinned(
	c volume.Contents, names *name.Reader,
) func(context.Context, *place.Session, *name.Reader) (*survey.Draft, error) {
	return func(ctx context.Context, s *place.Session, _ *name.Reader) (*survey.Draft, error) {
		all, err := grouped(c.Names, atOrigin)
		if err != nil {
			return nil, err
		}
		s.Base.Subject = belonging(s, c.Names)
		entry := func(n volume.Name) plan.Entry {
			at := n.From + "@" + string(cmp.Or(n.Origin, n.Digest))
			e := plan.Entry{Source: at, Targets: []string{n.Repo}, Paths: true}
			if n.Tag != "" {
				e.Targets[0] += ":" + n.Tag
			}
			return e
		}
		return all.draft(ctx, s, names, entry, Host, survey.Rules{
			Verb: verbCreate, Overwrite: plan.Update,
			Referrers: plan.Referrers{Mode: plan.ReferrersNone}, // those that the bundle has are among the names
		})
	}
}

// belonging returns what says to which image a document belongs: a gate is asked about that image alone. The list of
// the bundle may say anything, so a document that refers to an image is read.
func belonging(s *place.Session, names []volume.Name) func(context.Context, ref.Name) oci.Digest {
	type document struct{ repo, digest string }
	tagged, trimmed, refers := map[document]oci.Digest{}, map[document]oci.Digest{}, map[document]bool{}
	for _, n := range names {
		at := document{n.From, string(n.Digest)}
		if subject, _ := oci.TaggedFor(n.Tag); oci.IsDigestTag(n.Tag) {
			tagged[at] = subject
		}
		refers[at] = refers[at] || n.Subject != "" && n.Tag == ""
		if n.Origin != "" {
			trimmed[at] = n.Origin
		}
	}
	return func(ctx context.Context, n ref.Name) oci.Digest {
		at := document{n.Repo.String(), n.Digest}
		subject := tagged[at]
		if subject == "" && refers[at] {
			from, err := s.Source(ctx, n.Repo)
			if err != nil {
				return "" // the gate is asked about it
			}
			if doc, err := s.Documents.Read(ctx, from, oci.Digest(n.Digest)); err == nil && doc.Subject != nil {
				subject = doc.Subject.Digest
			}
		}
		return cmp.Or(trimmed[document{at.repo, string(subject)}], subject)
	}
}

// earlier is a bundle of which some volumes are made again.
type earlier struct {
	*volume.Arranged
	split  int64               // not 0 if the files are numbered
	broken map[oci.Digest]bool // in a directory: the content that is damaged or missing
}

// readEarlier reads the list of contents from the volumes of a bundle that are there, and verifies a directory.
func readEarlier(ctx context.Context, to output) (*earlier, error) {
	var first error
	for _, path := range to.volumes() {
		set, err := volume.Open(path)
		if err != nil {
			first = cmp.Or(first, err)
			continue
		}
		defer set.Close()
		old := &earlier{broken: map[oci.Digest]bool{}}
		if old.Arranged, err = set.Arranged(); err != nil {
			return nil, err
		}
		if path != to.path {
			old.split = 1
		}
		if !to.dir {
			return old, nil
		}
		damages, err := set.Verify(ctx, func(int64) {})
		for _, d := range damages {
			old.broken[d.Digest] = true
		}
		return old, err
	}
	return nil, cmp.Or(first, error(&fault.Fault{
		Kind: fault.NotFound, Op: "read bundle", Name: to.path,
		Err:  errors.New("no volume of the bundle is there, and each has the list of what to make again"),
		Hint: "put any volume of the bundle there, or make the bundle anew without --only",
	}))
}

// packOnly writes some volumes of a bundle and removes the stage.
func (s *stage) packOnly(
	ctx context.Context, to output, old *earlier, only []int, obs event.Observer,
) (*report.Bundle, error) {
	rep := reportOn(old.Arranged)
	for _, n := range only {
		path := to.volume(n, old.split)
		if to.dir {
			if err := old.WriteDamaged(ctx, n, to.path, s.content); err != nil {
				return nil, s.written(to.path, err)
			}
			rep.Volumes = append(rep.Volumes, report.Volume{File: path, Number: n})
			continue
		}
		file, err := s.packVolume(ctx, old.Arranged, n, path, obs)
		if err != nil {
			return nil, err
		}
		if err := os.Rename(file, path); err != nil {
			return nil, stageFault("write bundle", path, err)
		}
		size, err := old.Size(n)
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
