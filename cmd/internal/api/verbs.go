package api

import (
	"context"
	"net/http"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/wire"
)

// submitter is a request that creates a job. B is its body.
type submitter[B any] struct {
	Submitting
	Body B
}

// submits returns a handler that submits the request that of makes from the body.
func submits[B any](a *api, of func(*B) wire.Request) func(context.Context, *submitter[B]) (*accepted, error) {
	return func(ctx context.Context, in *submitter[B]) (*accepted, error) {
		return a.submit(ctx, in.Submitting, of(&in.Body))
	}
}

// post describes an operation that creates a job.
func post(id, path string, role access.Role, text string) operation {
	return operation{
		id: id, method: http.MethodPost, path: path, role: role, status: http.StatusAccepted,
		text: text, tag: "verbs",
	}
}

// verbs registers the operations that create jobs, and get-plan.
func (a *api) verbs() {
	handle(a, post("import", "/imports", access.Submitter, "Import an image, as az acr import does"),
		submits(a, func(b *wire.Import) wire.Request {
			return wire.Request{Kind: wire.KindImport, Import: b}
		}))
	handle(a, post("copy", "/copies", access.Submitter, "Copy an image, or all tags of a repository"),
		submits(a, func(b *wire.Copy) wire.Request {
			return wire.Request{Kind: wire.KindCopy, Copy: b}
		}))
	handle(a, post("tag", "/tags", access.Submitter, "Add tags to an image"),
		submits(a, func(b *wire.Tag) wire.Request {
			return wire.Request{Kind: wire.KindTag, Tag: b}
		}))
	handle(a, post("batch", "/batches", access.Submitter,
		"Import the images of a list, each independently of the others"),
		submits(a, func(b *wire.Batch) wire.Request {
			return wire.Request{Kind: wire.KindBatch, Batch: b}
		}))
	handle(a, post("transfer", "/transfers", access.Submitter,
		"Copy repositories from one or more registries to another registry"),
		submits(a, func(b *wire.Transfer) wire.Request {
			return wire.Request{Kind: wire.KindTransfer, Transfer: b}
		}))
	handle(a, post("verify", "/verifications", access.Reader,
		"Verify that a target holds the same content as its source; to heal it requires the role submitter"),
		submits(a, func(b *wire.Verify) wire.Request {
			return wire.Request{Kind: wire.KindVerify, Verify: b}
		}))
	a.plans()
}

// plans registers the operations on plans.
func (a *api) plans() {
	handle(a, post("plan", "/plans", access.Reader,
		"Plan an import, a copy or another verb without carrying it out"),
		submits(a, func(b *wire.Planned) wire.Request {
			return wire.Request{Kind: wire.KindPlan, Plan: &wire.Plan{
				Import: b.Import, Copy: b.Copy, Tag: b.Tag, Batch: b.Batch, Transfer: b.Transfer,
			}}
		}))
	upload := post("upload-plan", "/plans/upload", access.Submitter,
		"Upload the file of a plan that was made elsewhere")
	upload.streams = "application/jsonl"
	handle(a, upload, a.upload)
	handle(a, post("apply", "/plans/{id}/apply", access.Submitter, "Apply a plan"),
		func(ctx context.Context, in *applying) (*accepted, error) {
			req := wire.Apply{Plan: in.ID}
			if in.Body != nil {
				req.Follow, req.Gates, req.Logins = in.Body.Follow, in.Body.Gates, in.Body.Logins
				req.IncludeForeign, req.Bringing = in.Body.IncludeForeign, in.Body.Bringing
			}
			return a.submit(ctx, in.Submitting, wire.Request{Kind: wire.KindApply, Apply: &req})
		})
	handle(a, operation{
		id: "get-plan", method: http.MethodGet, path: "/plans/{id}", role: access.Reader, status: http.StatusOK,
		text: "Get the file of a plan: JSON Lines, with a header and one line for each step", tag: "verbs",
	}, a.showPlan)
}

// applying is a request that applies a plan. The body is optional.
type applying struct {
	ByID
	Submitting
	Body *wire.ApplyBody
}
