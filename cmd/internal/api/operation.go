package api

import (
	"context"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/wire"
)

// operation is what differs between operations.
type operation struct {
	id, method, path string
	role             access.Role // the least
	status           int
	text             string
	tag              string
	body             int64         // bytes of a request; 0 is maxBody
	time             time.Duration // to read it; 0 is bodyTime
}

const (
	maxBody  = 1 << 20          // of a request
	bodyTime = 30 * time.Second // to read one; an upload has longer
	fileTime = 10 * time.Minute
)

// handle registers one. Its errors become Problems.
func handle[I, O any](a *api, o operation, do func(context.Context, *I) (*O, error)) {
	op := huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Summary: o.text, Tags: []string{o.tag}, DefaultStatus: o.status,
		Metadata:     map[string]any{"role": o.role},
		Extensions:   map[string]any{"x-dray-role": string(o.role)},
		Security:     []map[string][]string{{"token": {}}, {"basic": {}}},
		MaxBodyBytes: o.body, BodyReadTimeout: o.time,
	}
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = maxBody
	}
	if op.BodyReadTimeout == 0 {
		op.BodyReadTimeout = bodyTime
	}
	problem := a.huma.OpenAPI().Components.Schemas.Schema(problemType, true, "Problem")
	op.Responses = map[string]*huma.Response{"default": {Description: "Error", Content: map[string]*huma.MediaType{"application/problem+json": {Schema: problem}}}}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		clearReadDeadline(ctx)
		out, err := do(ctx, in)
		if err != nil {
			return nil, problemOf(err)
		}
		return out, nil
	})
}

var problemType = reflect.TypeFor[wire.Problem]()

// ByID names a thing by its id.
type ByID struct {
	ID string `path:"id" maxLength:"128"`
}

// body is an answer with a body alone.
type body[B any] struct{ Body B }

// created is an answer with the place of what was made.
type created[B any] struct {
	Location string `header:"Location"`
	Body     B
}

// noContent is the answer of what has none: 204.
type noContent struct{}
