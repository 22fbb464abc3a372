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

// verbs registers the operations that create jobs, and get-plan.
func (a *api) verbs() {
	post := func(id, path, text string, role access.Role) operation {
		return operation{id: id, method: http.MethodPost, path: path, role: role, status: http.StatusAccepted, text: text, tag: "verbs"}
	}
	handle(a, post("import", "/imports", "Import an image, as az acr import does", access.Submitter), func(ctx context.Context, in *submitter[wire.Import]) (*accepted, error) {
		return a.submit(ctx, in.Submitting, wire.Request{Kind: wire.KindImport, Import: &in.Body})
	})
	handle(a, post("copy", "/copies", "Copy an image, or all tags of a repository", access.Submitter), func(ctx context.Context, in *submitter[wire.Copy]) (*accepted, error) {
		return a.submit(ctx, in.Submitting, wire.Request{Kind: wire.KindCopy, Copy: &in.Body})
	})
	handle(a, post("tag", "/tags", "Add tags to an image", access.Submitter), func(ctx context.Context, in *submitter[wire.Tag]) (*accepted, error) {
		return a.submit(ctx, in.Submitting, wire.Request{Kind: wire.KindTag, Tag: &in.Body})
	})
	handle(a, post("batch", "/batches", "Import the images of a list, each independently of the others", access.Submitter), func(ctx context.Context, in *submitter[wire.Batch]) (*accepted, error) {
		return a.submit(ctx, in.Submitting, wire.Request{Kind: wire.KindBatch, Batch: &in.Body})
	})
	handle(a, post("transfer", "/transfers", "Copy repositories from one or more registries to another registry", access.Submitter), func(ctx context.Context, in *submitter[wire.Transfer]) (*accepted, error) {
		return a.submit(ctx, in.Submitting, wire.Request{Kind: wire.KindTransfer, Transfer: &in.Body})
	})
	handle(a, post("verify", "/verifications", "Verify that a target holds the same content as its source; to heal it requires the role submitter", access.Reader), func(ctx context.Context, in *submitter[wire.Verify]) (*accepted, error) {
		return a.submit(ctx, in.Submitting, wire.Request{Kind: wire.KindVerify, Verify: &in.Body})
	})
	handle(a, post("plan", "/plans", "Plan an import, a copy or another verb without carrying it out", access.Reader), func(ctx context.Context, in *submitter[wire.Planned]) (*accepted, error) {
		b := in.Body
		return a.submit(ctx, in.Submitting, wire.Request{Kind: wire.KindPlan, Plan: &wire.Plan{Import: b.Import, Copy: b.Copy, Tag: b.Tag, Batch: b.Batch, Transfer: b.Transfer}})
	})
	upload := post("upload-plan", "/plans/upload", "Upload the file of a plan that was made elsewhere", access.Submitter)
	upload.body, upload.time = wire.MaxPlan, fileTime
	handle(a, upload, func(ctx context.Context, in *uploading) (*accepted, error) {
		// huma reuses the buffer for another request, so the job needs a copy.
		file := append([]byte(nil), in.RawBody...)
		return a.submit(ctx, in.Submitting, wire.Request{Kind: wire.KindPlan, Plan: &wire.Plan{Uploaded: true, File: file}})
	})
	handle(a, post("apply", "/plans/{id}/apply", "Apply a plan", access.Submitter), func(ctx context.Context, in *applying) (*accepted, error) {
		req := wire.Apply{Plan: in.ID}
		if in.Body != nil {
			req.Follow, req.Logins = in.Body.Follow, in.Body.Logins
		}
		return a.submit(ctx, in.Submitting, wire.Request{Kind: wire.KindApply, Apply: &req})
	})
	handle(a, operation{id: "get-plan", method: http.MethodGet, path: "/plans/{id}", role: access.Reader, status: http.StatusOK, text: "Get the file of a plan: JSON Lines, with a header and one line for each step", tag: "verbs"}, a.showPlan)
}

// uploading is a request that uploads the file of a plan.
type uploading struct {
	Submitting
	RawBody []byte `contentType:"application/jsonl"`
}

// applying is a request that applies a plan. The body is optional.
type applying struct {
	ByID
	Submitting
	Body *wire.ApplyBody
}
