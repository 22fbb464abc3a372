package measure

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/fault"
)

// The environment variables of the OpenTelemetry specification that turn traces on. The exporter
// itself reads the other OTEL_EXPORTER_OTLP_ variables.
const (
	otlpEndpoint      = "OTEL_EXPORTER_OTLP_ENDPOINT"
	otlpTraceEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
)

// Traces makes a span for each request and for each run of a job.
type Traces struct {
	provider *sdk.TracerProvider // nil if traces are off
	tracer   trace.Tracer
}

// NewTraces returns Traces that send spans to the endpoint in the environment env. If env has no
// endpoint, it makes no spans.
func NewTraces(ctx context.Context, env func(string) string, version string) (*Traces, error) {
	endpoint, whole := env(otlpTraceEndpoint), true
	if endpoint == "" {
		endpoint, whole = env(otlpEndpoint), false
	}
	if endpoint == "" {
		return &Traces{tracer: noop.NewTracerProvider().Tracer("")}, nil
	}
	if !whole {
		endpoint += "/v1/traces"
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint))
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "export traces to", Name: otlpEndpoint, Err: err}
	}
	about := resource.NewSchemaless(attribute.String("service.name", "dray"), attribute.String("service.version", version))
	p := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about))
	return &Traces{provider: p, tracer: p.Tracer("github.com/drayage/dray")}, nil
}

// Close sends the remaining spans. It takes at most one second.
func (t *Traces) Close() {
	if t.provider == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // the collector may be down
}

// Request starts the span of r, as a child of the client's span if r names one. The caller must call
// the returned function when the request is answered.
//
//nolint:spancheck // the returned function ends the span
func (t *Traces) Request(r *http.Request) (context.Context, func(route string, status int)) {
	if t.provider == nil {
		return r.Context(), func(string, int) {}
	}
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := t.tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer))
	return ctx, func(route string, status int) {
		span.SetName(r.Method + " " + route)
		span.SetAttributes(
			attribute.String("http.request.method", r.Method),
			attribute.String("http.route", route),
			attribute.Int("http.response.status_code", status),
		)
		if status >= 500 {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// Jobs returns a Runner that makes a span for each run of run.
func (t *Traces) Jobs(run job.Runner) job.Runner {
	if t.provider == nil {
		return run
	}
	return traced{run, t}
}

type traced struct {
	job.Runner
	t *Traces
}

func (d traced) Run(ctx context.Context, r *job.Run) job.Outcome {
	return d.span(ctx, r, "job ", time.Now(), func(ctx context.Context) job.Outcome { return d.Runner.Run(ctx, r) })
}

// Split makes a span of a job that is divided or that ends here. Run makes that of any other.
func (d traced) Split(
	ctx context.Context, r *job.Run, emit func(json.RawMessage) error,
) (whole bool, out job.Outcome) {
	began := time.Now()
	whole, out = d.Runner.Split(ctx, r, emit)
	if !whole {
		what := "divide "
		if out.State.Ended() {
			what = "job "
		}
		d.span(ctx, r, what, began, func(context.Context) job.Outcome { return out })
	}
	return whole, out
}

func (d traced) Part(ctx context.Context, r *job.Run, part json.RawMessage) job.Outcome {
	return d.span(ctx, r, "part ", time.Now(), func(ctx context.Context) job.Outcome {
		return d.Runner.Part(ctx, r, part)
	})
}

// Sum makes the span of a divided job, which began with the job.
func (d traced) Sum(ctx context.Context, r *job.Run, parts iter.Seq2[job.Outcome, error]) job.Outcome {
	return d.span(ctx, r, "job ", r.Job.Started, func(ctx context.Context) job.Outcome {
		return d.Runner.Sum(ctx, r, parts)
	})
}

func (d traced) span(
	ctx context.Context, r *job.Run, what string, began time.Time, f func(context.Context) job.Outcome,
) job.Outcome {
	ctx, span := d.t.tracer.Start(ctx, what+r.Job.Kind, trace.WithTimestamp(began), trace.WithAttributes(
		attribute.String("dray.job.id", r.Job.ID), attribute.Int("dray.job.attempt", r.Job.Attempt),
		attribute.Int("dray.job.part", r.Part)))
	defer span.End()
	out := f(ctx)
	if out.State != "" { // it is not divided
		span.SetAttributes(attribute.String("dray.job.state", string(out.State)))
	}
	if out.Failure != nil {
		span.SetStatus(codes.Error, string(out.Failure.Kind))
	}
	return out
}
