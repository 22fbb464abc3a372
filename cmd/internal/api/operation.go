package api

import (
	"context"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/wire"
)

// operation describes one operation of the API: the values that differ between operations.
type operation struct {
	id, method, path string
	role             access.Role // the least role that the caller must have
	status           int         // of an answer without an error
	text             string      // the summary in the OpenAPI document
	tag              string      // the group in the OpenAPI document
	streams          string      // the media type of a body that the operation reads itself; "" means that huma reads it
}

// handle registers the operation o, which do carries out. Errors of do become Problems.
func handle[I, O any](a *api, o operation, do func(context.Context, *I) (*O, error)) {
	op := huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Summary: o.text, Tags: []string{o.tag}, DefaultStatus: o.status,
		Metadata:   map[string]any{"role": o.role},
		Extensions: map[string]any{"x-dray-role": string(o.role)},
		Security:   []map[string][]string{{"token": {}}, {"basic": {}}},
		// admit has read the body, and huma removes the deadline for that.
		MaxBodyBytes: maxBody, BodyReadTimeout: -1,
	}
	if o.streams != "" {
		schema := &huma.Schema{Type: huma.TypeString, Format: "binary"}
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{o.streams: {Schema: schema}}}
		op.Metadata["streams"] = true
	}
	if in, ok := reflect.TypeFor[I]().FieldByName("Body"); ok {
		op.Metadata["form"] = in.Type
	}
	problem := a.huma.OpenAPI().Components.Schemas.Schema(problemType, true, "Problem")
	op.Responses = map[string]*huma.Response{"default": {
		Description: "Error",
		Headers:     map[string]*huma.Param{wire.VersionHeader: {Ref: "#/components/headers/" + wire.VersionHeader}},
		Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: problem}},
	}}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := do(ctx, in)
		if err != nil {
			return nil, problemOf(err)
		}
		return out, nil
	})
}

var problemType = reflect.TypeFor[wire.Problem]()

// ByID holds the id in the path of an operation on one job, plan, schedule, token or secret.
type ByID struct {
	ID string `path:"id" maxLength:"128"`
}

// body is an answer that has a body and no headers.
type body[B any] struct{ Body B }

// created is the answer 201: the new object in the body, its path in the header Location.
type created[B any] struct {
	Location string `header:"Location"`
	Body     B
}

// noContent is the answer 204, which has no body.
type noContent struct{}
