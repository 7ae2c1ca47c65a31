package telemetry

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"testing"
	"time"

	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc/codes"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/rpc"
)

const (
	submitMethod = "/trialnotary.v1.NotaryService/Submit"
	streamMethod = "/trialnotary.v1.NotaryService/SubmitStream"
	callersTrace = "0af7651916cd43dd8448eb211c80319c"
)

func byName(all []*spans.Span) map[string]*spans.Span {
	out := make(map[string]*spans.Span)
	for _, s := range all {
		out[s.GetName()] = s
	}
	return out
}

// TestSubmissionIsDrawn sends the spans of one submission to an OTLP receiver: the
// call under the caller's trace, its stages with their own times, and the batch's
// stages linked both ways.
func TestSubmissionIsDrawn(t *testing.T) {
	r, tracer := receive(t, 1)
	o := &Observer{Tracer: tracer}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	call := rpc.Call{Method: submitMethod, HTTP: true, Began: at, Traceparent: "00-" + callersTrace + "-b7ad6b7169203331-00"}
	ctx, id := o.Begin(t.Context(), call)
	if id != callersTrace || !o.Traced(ctx) {
		t.Fatalf("got trace %q, want the caller's %q", id, callersTrace)
	}
	o.Stage(ctx, notary.StageParse, at.Add(time.Millisecond), 2*time.Millisecond)
	o.Stage(t.Context(), notary.StageParse, at, time.Second) // not traced
	o.Batch([]context.Context{ctx}, notary.StageStore, at.Add(4*time.Millisecond), 5*time.Millisecond)
	o.Batch(nil, notary.StageAdd, at, time.Second) // none of it is traced
	o.End(ctx, call, codes.PermissionDenied, "NOT_PERMITTED", time.Second)

	all := r.got(t, tracer)
	if len(all) != 4 {
		t.Fatalf("got %d spans, want 4: %v", len(all), all)
	}
	named := byName(all)
	submit, parse, store, batch := named["Submit"], named["parse"], named["store"], named["batch store"]
	want := map[string]string{
		"rpc.method": "Submit", "trialnotary.transport": "http", "rpc.response.status_code": "PERMISSION_DENIED",
		"trialnotary.reason": "NOT_PERMITTED",
	}
	if got := attributes(submit); !maps.Equal(got, want) {
		t.Errorf("got attributes %v, want %v", got, want)
	}
	if hex.EncodeToString(submit.GetTraceId()) != callersTrace || hex.EncodeToString(submit.GetParentSpanId()) != "b7ad6b7169203331" {
		t.Errorf("got trace %x under %x, want the caller's", submit.GetTraceId(), submit.GetParentSpanId())
	}
	if submit.GetStatus().GetCode() == spans.Status_STATUS_CODE_ERROR {
		t.Error("a refusal is drawn as a fault of the notary")
	}
	if submit.GetStartTimeUnixNano() != uint64(at.UnixNano()) {
		t.Errorf("got a beginning at %d, want when the call came, %d", submit.GetStartTimeUnixNano(), at.UnixNano())
	}
	for s, from := range map[*spans.Span]time.Duration{parse: time.Millisecond, store: 4 * time.Millisecond} {
		if string(s.GetTraceId()) != string(submit.GetTraceId()) || string(s.GetParentSpanId()) != string(submit.GetSpanId()) {
			t.Errorf("%s is not a part of the call", s.GetName())
		}
		if s.GetStartTimeUnixNano() != uint64(at.Add(from).UnixNano()) {
			t.Errorf("%s began at %d, want %v after the call", s.GetName(), s.GetStartTimeUnixNano(), from)
		}
	}
	if took := parse.GetEndTimeUnixNano() - parse.GetStartTimeUnixNano(); took != 2e6 {
		t.Errorf("parse took %d ns, want 2 ms", took)
	}
	if string(batch.GetTraceId()) == string(submit.GetTraceId()) || len(batch.GetParentSpanId()) > 0 {
		t.Error("the batch is a part of one submission")
	}
	if l := batch.GetLinks(); len(l) != 1 || string(l[0].GetSpanId()) != string(submit.GetSpanId()) {
		t.Errorf("got links %v of the batch, want one to the submission", l)
	}
	if l := store.GetLinks(); len(l) != 1 || string(l[0].GetSpanId()) != string(batch.GetSpanId()) {
		t.Errorf("got links %v of the submission's stage, want one to the batch", l)
	}
}

// TestCallerForcesNothing draws the share that was configured, whatever a caller's
// trace says: the sampled flag is set, and an id of zeros, but for one, would be
// chosen by every sampler that goes by the id.
func TestCallerForcesNothing(t *testing.T) {
	for _, traceparent := range []string{
		"", "00-" + callersTrace + "-b7ad6b7169203331-01", "00-00000000000000000000000000000001-b7ad6b7169203331-01",
		"00-ffffffffffffffffffffffffffffffff-b7ad6b7169203331-01", "00-ffffffffffffffffffffffffffffffff-b7ad6b7169203331-00",
	} {
		_, tracer := receive(t, 0.25)
		o, drawn := &Observer{Tracer: tracer}, 0
		const calls = 4000
		for range calls {
			call := rpc.Call{Method: submitMethod, Began: time.Now(), Traceparent: traceparent}
			if ctx, id := o.Begin(t.Context(), call); id != "" {
				o.End(ctx, call, codes.OK, "", 0)
				drawn++
			}
		}
		if drawn < calls/5 || drawn > calls*3/10 { // seven standard deviations
			t.Errorf("traceparent %q: %d of %d calls were drawn, want a quarter", traceparent, drawn, calls)
		}
		if err := tracer.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}
}

// TestBadTraceparent takes a call without a trace that can be read for one of its
// own.
func TestBadTraceparent(t *testing.T) {
	_, tracer := receive(t, 1)
	defer tracer.Close(context.WithoutCancel(t.Context()))
	o := &Observer{Tracer: tracer}
	for _, bad := range []string{"x", "00-" + callersTrace, "00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-" + callersTrace + "-b7ad6b7169203331-01,tn=NCT1"} {
		_, id := o.Begin(t.Context(), rpc.Call{Method: submitMethod, Began: time.Now(), Traceparent: bad})
		if id == "" || id == callersTrace {
			t.Errorf("traceparent %q: got trace %q, want a new one", bad, id)
		}
	}
}

// TestStreamIsDrawn gives each statement of a stream a trace of its own, linked
// with the stream's, or none.
func TestStreamIsDrawn(t *testing.T) {
	r, tracer := receive(t, 1)
	o := &Observer{Tracer: tracer}
	stream := rpc.Call{Method: streamMethod, Began: time.Now()}
	ctx, id := o.Begin(t.Context(), stream)
	statement := rpc.Call{Method: streamMethod, Statement: true, Began: time.Now()}
	within, own := o.Begin(ctx, statement)
	if own == id || own == "" {
		t.Errorf("got trace %q of a statement in trace %q, want another", own, id)
	}
	o.Stage(within, notary.StageParse, time.Now(), time.Millisecond)
	o.End(within, statement, codes.OK, "", time.Millisecond)
	o.Tracer.ratio = 0
	within, own = o.Begin(ctx, statement)
	if own != "" || o.Traced(within) {
		t.Error("a statement that is not drawn is a part of its stream's trace")
	}
	o.Stage(within, notary.StageVerify, time.Now(), time.Millisecond)
	o.End(within, statement, codes.OK, "", time.Millisecond)
	if !o.Traced(ctx) {
		t.Error("a statement has ended its stream's span")
	}
	o.End(ctx, stream, codes.Internal, "INTERNAL", time.Millisecond)
	all := r.got(t, tracer)
	if len(all) != 3 {
		t.Fatalf("got %d spans, want 3: %v", len(all), all)
	}
	named := byName(all)
	if l := named["SubmitStream statement"].GetLinks(); len(l) != 1 || string(l[0].GetSpanId()) != string(named["SubmitStream"].GetSpanId()) {
		t.Errorf("got links %v, want one to the stream", l)
	}
	if named["SubmitStream"].GetStatus().GetCode() != spans.Status_STATUS_CODE_ERROR {
		t.Error("an internal error is not drawn as one")
	}
}

// TestReceiverAway drops spans without holding anybody up.
func TestReceiverAway(t *testing.T) {
	warned := make(chan error, 100)
	tracer, err := NewTracer(t.Context(), TraceConfig{Endpoint: "http://127.0.0.1:1", Ratio: 1, Warn: func(err error) {
		select {
		case warned <- err:
		default:
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	o := &Observer{Tracer: tracer}
	for i := range 3 * maxSpans {
		call := rpc.Call{Method: fmt.Sprintf("/a.B/C%d", i%3), Began: time.Now()}
		ctx, _ := o.Begin(t.Context(), call)
		o.End(ctx, call, codes.OK, "", 0)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := tracer.Close(ctx); err == nil && len(warned) == 0 {
		t.Error("nobody was told that traces were lost")
	}
}
