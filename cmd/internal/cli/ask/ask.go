package ask

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/cli/flag"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/plan"
)

// Known returns a What for a request that is complete already.
func Known(r wire.Request) What {
	return func(context.Context, *client.Client, Names) (wire.Request, error) { return r, nil }
}

// Carrying adds the choices of --include-foreign, --via and --accept-unseen to the request that what makes; nil and
// the zero values leave them to the server.
func Carrying(what What, include *bool, by wire.Bringing, may wire.Unseen) What {
	if include == nil && by == (wire.Bringing{}) && may == (wire.Unseen{}) {
		return what
	}
	return func(ctx context.Context, c *client.Client, names Names) (wire.Request, error) {
		r, err := what(ctx, c, names)
		if said := r.Foreign(); err == nil && said != nil && include != nil {
			*said = include
		}
		if b := r.Bringing(); err == nil && b != nil {
			b.Via = cmp.Or(by.Via, b.Via)
		}
		if u := r.Unseen(); err == nil && u != nil {
			u.AcceptUnseen = may.AcceptUnseen || u.AcceptUnseen
		}
		return r, err
	}
}

// Gated adds the values of --verify-signature to the request that what makes. A server has no files of its
// clients, so they must be names of its gates.
func Gated(what What, gates []string) What {
	if len(gates) == 0 {
		return what
	}
	return func(ctx context.Context, c *client.Client, names Names) (wire.Request, error) {
		for _, g := range gates {
			if strings.ContainsAny(g, `./\`) {
				return wire.Request{}, &fault.Fault{Kind: fault.Invalid, Op: "read", Name: "--verify-signature " + g,
					Err: errors.New("a server does not read files of this machine"), Hint: "name a gate of the server's configuration"}
			}
		}
		r, err := what(ctx, c, names)
		switch {
		case err != nil:
		case r.Import != nil:
			r.Import.Gates = gates
		case r.Copy != nil:
			r.Copy.Gates = gates
		case r.Batch != nil:
			r.Batch.Gates = gates
		case r.Transfer != nil:
			r.Transfer.Gates = gates
		case r.Apply != nil:
			r.Apply.Gates = gates
		}
		return r, err
	}
}

// loginJSON returns a login in the form that a request has; nil if there is none.
func loginJSON(l *credential.Login) *wire.Login {
	if l == nil {
		return nil
	}
	scheme := string(l.Scheme)
	if l.Scheme == credential.Basic {
		scheme = "basic"
	}
	return &wire.Login{Scheme: scheme, User: l.User, Password: l.Password.Reveal()}
}

// Logins returns the logins of a request for source and target.
func Logins(source, target *credential.Login) wire.Logins {
	return wire.Logins{SourceLogin: loginJSON(source), TargetLogin: loginJSON(target)}
}

func referrersJSON(r plan.Referrers) wire.Referrers {
	return wire.Referrers{Mode: string(r.Mode), Types: r.Types, Annotations: r.Annotations}
}

func platformsJSON(p plan.Platforms) (w wire.Platforms) {
	for _, one := range p.Only {
		w.Only = append(w.Only, oci.PlatformString(&one))
	}
	if p.Form == plan.Whole {
		w.Only = []string{oci.AllPlatforms}
	}
	w.Sparse, w.Optional = p.Form == plan.Sparse, p.Lacks == plan.Optional
	return w
}

// taggingJSON returns m in the form of a request; renames are its expressions as they were typed.
func taggingJSON(m plan.TagMap, renames []string) wire.Tagging {
	t := wire.Tagging{Rename: renames}
	for _, p := range m.Pairs {
		t.Map = append(t.Map, p.From+"="+p.To)
	}
	return t
}

// Import returns the request of an import; renames are the expressions of --rename as they were typed.
func Import(req dray.ImportRequest, renames []string) wire.Request {
	return wire.Request{Kind: wire.KindImport, Import: &wire.Import{
		Source:         req.Source,
		SourceRegistry: req.SourceRegistry,
		Target:         req.Target,
		Images:         req.Images,
		Repositories:   req.Repositories,
		Tags:           req.Tags,
		Tagging:        taggingJSON(req.Map, renames),
		Overwrite:      string(req.Overwrite),
		Hold:           string(req.Hold),
		Backup:         req.Backup.Template,
		Referrers:      referrersJSON(req.Referrers),
		Platforms:      platformsJSON(req.Platforms),
		Logins:         Logins(req.SourceLogin, req.TargetLogin),
	}}
}

// Copy returns the request of a copy; renames are as for Import.
func Copy(req dray.CopyRequest, renames []string) wire.Request {
	return wire.Request{Kind: wire.KindCopy, Copy: &wire.Copy{
		Source:    req.Source,
		Targets:   req.Targets,
		All:       string(req.Tags),
		Tagging:   taggingJSON(req.Map, renames),
		Overwrite: string(req.Overwrite),
		Hold:      string(req.Hold),
		Referrers: referrersJSON(req.Referrers),
		Platforms: platformsJSON(req.Platforms),
		Backup:    req.Backup.Template,
		Logins:    Logins(req.SourceLogin, req.TargetLogin),

		SkipBroken: req.SkipBroken,
	}}
}

// Tag returns the request of dray tag; renames are as for Import.
func Tag(req dray.TagRequest, renames []string) wire.Request {
	return wire.Request{Kind: wire.KindTag, Tag: &wire.Tag{
		Image:   req.Image,
		Tags:    req.Tags,
		Tagging: taggingJSON(req.Map, renames),
		Hold:    string(req.Hold),
		Login:   loginJSON(req.Login),
	}}
}

// Batch returns the request of a batch.
func Batch(req dray.BatchRequest) wire.Request {
	b := &wire.Batch{
		List:      req.List,
		Target:    req.Target,
		Overwrite: string(req.Overwrite),
		Hold:      string(req.Hold),
		Referrers: referrersJSON(req.Referrers),
		Platforms: platformsJSON(req.Platforms),
		Backup:    req.Backup.Template,
		Proof:     string(req.Proof),
		Logins:    Logins(req.SourceLogin, req.TargetLogin),

		SkipBroken: req.SkipBroken,
	}
	for _, e := range req.Entries {
		b.Entries = append(b.Entries, wire.BatchEntry{
			Source:    e.Source,
			Targets:   e.Targets,
			Paths:     e.Paths,
			Overwrite: string(e.Overwrite),
			Referrers: referrersJSON(e.Referrers),
			Platforms: platformsJSON(e.Platforms),
			Gates:     e.Gates,
			Line:      e.Line,
		})
	}
	return wire.Request{Kind: wire.KindBatch, Batch: b}
}

// endsJSON returns the sources, the target, the selection and the mapping of a transfer or verify, with the
// texts of the flags. Ages such as 90d count back from the time when the server accepts the job.
func endsJSON(f *flag.Ends, req dray.TransferRequest) wire.Ends {
	e := wire.Ends{
		Sources: req.Sources, Target: req.Target, Prefer: req.Prefer, InUse: f.InUseText,
		Strict: req.Strict, SkipBroken: req.SkipBroken, Referrers: referrersJSON(req.Referrers),
		Platforms: platformsJSON(req.Platforms),
		Selection: wire.Selection{
			Repository:          f.Repository,
			Letters:             f.Letters,
			IncludeRepositories: f.Include,
			ExcludeRepositories: f.Exclude,
			MaxRepositories:     f.Repositories,
			IncludeTags:         f.IncludeTags,
			ExcludeTags:         f.ExcludeTags,
			Versions:            f.Versions,
			NewerThan:           f.NewerThan,
			Latest:              f.Latest,
			Order:               f.LatestBy,
			MinTags:             f.MinTags,
			Untagged:            f.Untagged,
			RequireMatch:        f.Matching,
		},
		Mapping: wire.Mapping{
			StripPrefix: f.Strip,
			Rename:      f.Rewrites,
			Flatten:     f.Flatten,
			Template:    f.Template,
			AddPrefix:   f.Prefix,
			MaxDepth:    f.MaxDepth,
		},
		Tagging: taggingJSON(req.Map, f.Renames),
	}
	for _, p := range req.Selection.Ignore {
		e.Selection.Ignore = append(e.Selection.Ignore, p.String())
	}
	return e
}

// Transfer returns the request of a transfer, which rests for delay seconds after each image.
func Transfer(f *flag.Ends, delay float64, req dray.TransferRequest) wire.Request {
	return wire.Request{Kind: wire.KindTransfer, Transfer: &wire.Transfer{
		Ends:        endsJSON(f, req),
		Overwrite:   string(req.Overwrite),
		Backup:      req.Backup.Template,
		Proof:       string(req.Proof),
		CopyLocks:   req.CopyLocks,
		Heal:        req.Heal,
		Incremental: req.Incremental,
		Delay:       delay,
		Logins:      Logins(req.SourceLogin, req.TargetLogin),
	}}
}

// Verify returns the request of a verify.
func Verify(f *flag.Ends, req dray.VerifyRequest) wire.Request {
	return wire.Request{Kind: wire.KindVerify, Verify: &wire.Verify{
		Ends:   endsJSON(f, req.Of),
		Depth:  string(req.Depth),
		Sample: req.Sample,
		Heal:   req.Heal,
		By:     req.By,
		Logins: Logins(req.Of.SourceLogin, req.Of.TargetLogin),
	}}
}

// What makes the request of a verb for a server. It may send other requests with c first, for example to
// upload a file.
type What func(ctx context.Context, c *client.Client, names Names) (wire.Request, error)

// Names opens a Dray that reads names as the server does, for a verb that must know what a name means before
// it makes its request. The caller does not close the Dray.
type Names func(ctx context.Context) (*dray.Dray, error)
