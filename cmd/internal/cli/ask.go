package cli

import (
	"context"

	"github.com/drayage/dray"
	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/plan"
)

// asks is a verb that is known without asking anybody.
func asks(r wire.Request) ask {
	return func(context.Context, *client.Client, *dray.Dray) (wire.Request, error) { return r, nil }
}

// loginJSON is a login as it travels in the body of a request; nil for none.
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

func loginsJSON(source, target *credential.Login) wire.Logins {
	return wire.Logins{SourceLogin: loginJSON(source), TargetLogin: loginJSON(target)}
}

// taggingJSON is m, whose expressions were written as renames.
func taggingJSON(m plan.TagMap, renames []string) wire.Tagging {
	t := wire.Tagging{Rename: renames}
	for _, p := range m.Pairs {
		t.Map = append(t.Map, p.From+"="+p.To)
	}
	return t
}

func importJSON(req dray.ImportRequest, renames []string) wire.Request {
	return wire.Request{Kind: wire.KindImport, Import: &wire.Import{
		Source: req.Source, SourceRegistry: req.SourceRegistry, Target: req.Target, Images: req.Images, Repositories: req.Repositories, Tags: req.Tags,
		Tagging: taggingJSON(req.Map, renames), Overwrite: string(req.Overwrite), Hold: string(req.Hold), Backup: req.Backup.Template,
		Logins: loginsJSON(req.SourceLogin, req.TargetLogin),
	}}
}

func copyJSON(req dray.CopyRequest, renames []string) wire.Request {
	return wire.Request{Kind: wire.KindCopy, Copy: &wire.Copy{
		Source: req.Source, Targets: req.Targets, All: string(req.Tags), Tagging: taggingJSON(req.Map, renames),
		Overwrite: string(req.Overwrite), Hold: string(req.Hold), Backup: req.Backup.Template, Logins: loginsJSON(req.SourceLogin, req.TargetLogin),
	}}
}

func tagJSON(req dray.TagRequest, renames []string) wire.Request {
	return wire.Request{Kind: wire.KindTag, Tag: &wire.Tag{
		Image: req.Image, Tags: req.Tags, Tagging: taggingJSON(req.Map, renames), Hold: string(req.Hold), Login: loginJSON(req.Login),
	}}
}

func batchJSON(req dray.BatchRequest) wire.Request {
	b := &wire.Batch{Target: req.Target, Overwrite: string(req.Overwrite), Hold: string(req.Hold), Backup: req.Backup.Template, Logins: loginsJSON(req.SourceLogin, req.TargetLogin)}
	for _, e := range req.Entries {
		b.Entries = append(b.Entries, wire.BatchEntry{Source: e.Source, Targets: e.Targets, Paths: e.Paths, Overwrite: string(e.Overwrite), Line: e.Line})
	}
	return wire.Request{Kind: wire.KindBatch, Batch: b}
}

// endsJSON is what a transfer and a verify are about, in the words of the flags: ages count from when
// the server takes the job in.
func endsJSON(f *ends, req dray.TransferRequest) wire.Ends {
	e := wire.Ends{
		Sources: req.Sources, Target: req.Target, Prefer: req.Prefer, InUse: f.inUseText,
		Selection: wire.Selection{
			Repository: f.repository, Letters: f.letters, IncludeRepositories: f.include, ExcludeRepositories: f.exclude, MaxRepositories: f.repositories,
			IncludeTags: f.includeTags, ExcludeTags: f.excludeTags, Versions: f.versions, NewerThan: f.newerThan,
			Latest: f.latest, Order: f.latestBy, MinTags: f.minTags, Untagged: f.untagged,
		},
		Mapping: wire.Mapping{StripPrefix: f.strip, Rename: f.rewrites, Flatten: f.flatten, Template: f.template, AddPrefix: f.prefix, MaxDepth: f.maxDepth},
		Tagging: taggingJSON(req.Map, f.renames),
	}
	for _, p := range req.Selection.Ignore {
		e.Selection.Ignore = append(e.Selection.Ignore, p.String())
	}
	return e
}

// transferJSON rests for delay seconds after each image.
func transferJSON(f *ends, delay float64, req dray.TransferRequest) wire.Request {
	return wire.Request{Kind: wire.KindTransfer, Transfer: &wire.Transfer{
		Ends: endsJSON(f, req), Overwrite: string(req.Overwrite), Backup: req.Backup.Template, Proof: string(req.Proof),
		CopyLocks: req.CopyLocks, Heal: req.Heal, Incremental: req.Incremental, Delay: delay, Logins: loginsJSON(req.SourceLogin, req.TargetLogin),
	}}
}

func verifyJSON(f *ends, req dray.VerifyRequest) wire.Request {
	return wire.Request{Kind: wire.KindVerify, Verify: &wire.Verify{
		Ends: endsJSON(f, req.Of), Depth: string(req.Depth), Sample: req.Sample, Heal: req.Heal, By: req.By, Logins: loginsJSON(req.Of.SourceLogin, req.Of.TargetLogin),
	}}
}
