package telemetry

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/rpc"
	"github.com/trialnotary/trialnotary/trial"
)

// TraceConfig says where traces go.
type TraceConfig struct {
	// Endpoint is the collector's OTLP/gRPC address: http://HOST:PORT without and
	// https://HOST:PORT with TLS.
	Endpoint string
	// TLS verifies the collector; nil takes the system's authorities.
	TLS *tls.Config
	// Ratio is the share of calls that are traced, above 0 and at most 1.
	Ratio float64
	// Version is the program's.
	Version string
	// Warn is told what could not be exported; nil drops it. The library tells it
	// process-wide: of several Tracers, the one made last is told.
	Warn func(error)
}

// Tracer draws a share of the calls. The notary alone decides which: the sampled
// flag of a caller's trace is ignored, and so is every bit of its id, so that
// nobody can make the notary trace more than it was told to.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	ratio    float64
}

// maxSpans bounds the spans that wait to be exported; further ones are dropped.
const maxSpans = 16384

// NewTracer makes a Tracer. It connects to the collector in the background;
// whoever made it calls Close.
func NewTracer(ctx context.Context, c TraceConfig) (*Tracer, error) {
	// Instead of standard error, where both write by default.
	otel.SetLogger(logr.Discard())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		if c.Warn != nil {
			c.Warn(err)
		}
	}))
	options := []otlptracegrpc.Option{otlptracegrpc.WithEndpointURL(c.Endpoint), otlptracegrpc.WithTimeout(10 * time.Second)}
	if c.TLS != nil {
		options = append(options, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(c.TLS)))
	}
	exporter, err := otlptracegrpc.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("exporting traces to %s: %w", c.Endpoint, err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter, sdktrace.WithMaxQueueSize(maxSpans)),
		// What gets here was chosen already.
		sdktrace.WithSampler(sdktrace.AlwaysSample()),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "notaryd"), attribute.String("service.version", c.Version))),
	)
	return &Tracer{provider: provider, tracer: provider.Tracer("github.com/trialnotary/trialnotary"), ratio: c.Ratio}, nil
}

// Close exports what is left, until ctx ends.
func (t *Tracer) Close(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("exporting the last traces: %w", err)
	}
	return nil
}

func recording(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

// begin starts the span of a call or of one statement of a stream, if it is one of
// those that are traced.
func (t *Tracer) begin(ctx context.Context, c rpc.Call) (context.Context, string) {
	// Not by the trace's id, as is usual: a caller chooses that.
	if rand.Float64() >= t.ratio { //nolint:gosec // which calls are drawn is no secret
		if c.Statement && recording(ctx) {
			ctx = trace.ContextWithSpan(ctx, nil) // its stages are not the stream's
		}
		return ctx, ""
	}
	transport := "grpc"
	if c.HTTP {
		transport = "http"
	}
	options := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(c.Began),
		trace.WithAttributes(attribute.String("rpc.method", methodName(c.Method)), attribute.String("trialnotary.transport", transport)),
	}
	name := methodName(c.Method)
	if c.Statement {
		// A trace of its own: a stream may carry thousands.
		name += " statement"
		options = append(options, trace.WithNewRoot(), trace.WithLinks(trace.LinkFromContext(ctx)))
	}
	if c.Traceparent != "" {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": c.Traceparent})
	}
	ctx, span := t.tracer.Start(ctx, name, options...)
	return ctx, span.SpanContext().TraceID().String()
}

// end ends what begin started.
func (t *Tracer) end(ctx context.Context, code codes.Code, reason trial.Reason) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.String("rpc.response.status_code", codeName(code)))
	if reason != "" {
		span.SetAttributes(attribute.String("trialnotary.reason", string(reason)))
	}
	switch code {
	case codes.Internal, codes.Unknown, codes.DataLoss, codes.Unavailable, codes.DeadlineExceeded:
		// The notary's fault; a refusal is none.
		span.SetStatus(otelcodes.Error, string(reason))
	default:
	}
	span.End()
}

// stage draws a stage that is over.
func (t *Tracer) stage(ctx context.Context, s notary.Stage, began time.Time, took time.Duration) {
	if !recording(ctx) {
		return
	}
	t.draw(ctx, string(s), began, took)
}

func (t *Tracer) draw(ctx context.Context, name string, began time.Time, took time.Duration, options ...trace.SpanStartOption) trace.SpanContext {
	_, span := t.tracer.Start(ctx, name, append(options, trace.WithTimestamp(began))...)
	span.End(trace.WithTimestamp(began.Add(took)))
	return span.SpanContext()
}

// batch draws a stage of a batch: once as a trace of its own that is linked with
// the submissions in it, and in each submission's trace, linked with the batch's.
func (t *Tracer) batch(traced []context.Context, s notary.Stage, began time.Time, took time.Duration) {
	links := make([]trace.Link, len(traced))
	for i, ctx := range traced {
		links[i] = trace.LinkFromContext(ctx)
	}
	whole := t.draw(context.Background(), "batch "+string(s), began, took, trace.WithLinks(links...))
	for _, ctx := range traced {
		t.draw(ctx, string(s), began, took, trace.WithLinks(trace.Link{SpanContext: whole}))
	}
}
