package telemetry

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	otlp "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// receiver is an OTLP receiver: the protocol's service, without a collector's
// storage.
type receiver struct {
	otlp.UnimplementedTraceServiceServer

	mu    sync.Mutex
	spans []*spans.Span
}

func (r *receiver) Export(_ context.Context, req *otlp.ExportTraceServiceRequest) (*otlp.ExportTraceServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range req.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			r.spans = append(r.spans, scope.GetSpans()...)
		}
	}
	return &otlp.ExportTraceServiceResponse{}, nil
}

// receive starts a receiver and returns a Tracer that exports to it.
func receive(tb testing.TB, ratio float64) (*receiver, *Tracer) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	r, server := &receiver{}, grpc.NewServer()
	otlp.RegisterTraceServiceServer(server, r)
	go func() { _ = server.Serve(l) }()
	tb.Cleanup(server.Stop)
	t, err := NewTracer(tb.Context(), TraceConfig{Endpoint: "http://" + l.Addr().String(), Ratio: ratio, Warn: func(err error) { tb.Error(err) }})
	if err != nil {
		tb.Fatal(err)
	}
	return r, t
}

// got closes the Tracer, which exports what is left, and returns the spans in the
// order of their names.
func (r *receiver) got(tb testing.TB, t *Tracer) []*spans.Span {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := t.Close(ctx); err != nil {
		tb.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortStableFunc(r.spans, func(a, b *spans.Span) int {
		if a.GetName() < b.GetName() {
			return -1
		}
		return 1
	})
	return r.spans
}

func attributes(s *spans.Span) map[string]string {
	out := make(map[string]string)
	for _, a := range s.GetAttributes() {
		out[a.GetKey()] = a.GetValue().GetValue().(*common.AnyValue_StringValue).StringValue
	}
	return out
}
