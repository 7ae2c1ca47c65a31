package rpc

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// seen is an Observer that remembers.
type seen struct {
	mu      sync.Mutex
	began   []Call
	ended   []ended
	refused []trial.Reason
}

type ended struct {
	call   Call
	inside bool // within Begin's context
	code   codes.Code
	reason trial.Reason
	took   time.Duration
}

type seenKey struct{}

func (s *seen) Begin(ctx context.Context, c Call) (context.Context, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = append(s.began, c)
	return context.WithValue(ctx, seenKey{}, true), "trace-1"
}

func (s *seen) End(ctx context.Context, c Call, code codes.Code, reason trial.Reason, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, ended{c, ctx.Value(seenKey{}) != nil, code, reason, took})
}

func (s *seen) Refused(reason trial.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, reason)
}

// take waits until so many calls have ended, returns what was seen and forgets it.
func (s *seen) take(t *testing.T, n int) (began []Call, over []ended, refused []trial.Reason) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		s.mu.Lock()
		if len(s.ended) >= n {
			break
		}
		s.mu.Unlock()
	}
	if len(s.ended) != n { // the lock is held
		t.Fatalf("got %d ended calls, want %d: %+v", len(s.ended), n, s.ended)
	}
	defer s.mu.Unlock()
	began, over, refused = s.began, s.ended, s.refused
	s.began, s.ended, s.refused = nil, nil, nil
	return began, over, refused
}

const callersTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// TestObserver tells an Observer of calls over both transports, of a stream's
// statements and of what the HTTP front answers alone, and passes the trace that a
// caller names on only if the caller is known.
func TestObserver(t *testing.T) {
	o := new(seen)
	w := newWorld(t, func(c *Config) { c.Observer = o })
	client, web := w.grpc(), w.web()
	good := fakePayload{Charter: w.trialA.String(), Kind: "dataset", Site: "DE-01", Nonce: "seen"}.envelope()
	body, err := protojson.Marshal(envelopeMessage(good))
	must(t, err)
	traced := func(user string) context.Context {
		return metadata.AppendToOutgoingContext(w.asCtx(user), "traceparent", callersTrace)
	}
	rpcs := []struct {
		name    string
		do      func()
		call    Call
		code    codes.Code
		reason  trial.Reason
		refused trial.Reason
	}{
		{"gRPC", func() { _, _ = client.Submit(traced("site"), &notaryv1.SubmitRequest{Envelope: envelopeMessage(good)}) },
			Call{Method: notaryv1.NotaryService_Submit_FullMethodName, Traceparent: callersTrace}, codes.OK, "", ""},
		{"HTTP", func() {
			w.do(web, "POST", "/v1/statements", body, append(w.as("site"), "Content-Type", "application/json", "Traceparent", callersTrace)...)
		}, Call{Method: notaryv1.NotaryService_Submit_FullMethodName, HTTP: true, Traceparent: callersTrace}, codes.OK, "", ""},
		{"nobody's trace", func() { _, _ = client.GetCheckpoint(traced(""), &notaryv1.GetCheckpointRequest{}) },
			Call{Method: notaryv1.NotaryService_GetCheckpoint_FullMethodName}, codes.OK, "", ""},
		{"nobody's trace over HTTP", func() { w.do(web, "GET", "/v1/checkpoint", nil, "Traceparent", callersTrace) },
			Call{Method: notaryv1.NotaryService_GetCheckpoint_FullMethodName, HTTP: true}, codes.OK, "", ""},
		{"an unknown caller's trace", func() {
			ctx := metadata.AppendToOutgoingContext(traced(""), "authorization", "Bearer tn_"+strings.Repeat("A", 43))
			_, _ = client.GetCheckpoint(ctx, &notaryv1.GetCheckpointRequest{})
		}, Call{Method: notaryv1.NotaryService_GetCheckpoint_FullMethodName}, codes.Unauthenticated, reasonUnauthenticated, reasonUnauthenticated},
		{"two traces", func() {
			_, _ = client.GetCheckpoint(metadata.AppendToOutgoingContext(traced("site"), "traceparent", callersTrace), &notaryv1.GetCheckpointRequest{})
		}, Call{Method: notaryv1.NotaryService_GetCheckpoint_FullMethodName}, codes.OK, "", ""},
		{"not this caller's trial", func() {
			_, _ = client.GetTrustMaterial(traced("stranger"), &notaryv1.GetTrustMaterialRequest{Trial: w.trialA.String()})
		}, Call{Method: notaryv1.NotaryService_GetTrustMaterial_FullMethodName, Traceparent: callersTrace}, codes.NotFound, reasonNotFound, reasonNotPermitted},
	}
	for _, c := range rpcs {
		t.Run(c.name, func(t *testing.T) {
			before := time.Now()
			c.do()
			began, over, refused := o.take(t, 1)
			if len(began) != 1 {
				t.Fatalf("got %d begun calls, want 1", len(began))
			}
			if at := began[0].Began; at.Before(before.Add(-time.Second)) || at.After(time.Now()) {
				t.Errorf("began at %v, want after %v", at, before)
			}
			began[0].Began = time.Time{}
			if began[0] != c.call {
				t.Errorf("got %+v, want %+v", began[0], c.call)
			}
			if e := over[0]; !e.inside || e.code != c.code || e.reason != c.reason || e.took <= 0 || e.call.Method != c.call.Method {
				t.Errorf("got end %+v, want %v %q", e, c.code, c.reason)
			}
			if c.refused == "" && len(refused) > 0 || c.refused != "" && !slices.Equal(refused, []trial.Reason{c.refused}) {
				t.Errorf("got refusals %v, want %q", refused, c.refused)
			}
		})
	}
	if n := w.logs.FilterField(zap.String("trace_id", "trace-1")).Len(); n != len(rpcs) {
		t.Errorf("got %d log lines with the trace's id, want %d", n, len(rpcs))
	}
	t.Run("HTTP alone", func(t *testing.T) { w.observeFront(t, o) })
	t.Run("stream", func(t *testing.T) { w.observeStream(t, o) })
}

// observeFront holds what never becomes an RPC under a name that no caller chose.
func (w *world) observeFront(t *testing.T, o *seen) {
	t.Helper()
	web := w.web()
	for path, want := range map[string]ended{
		"/checkpoint":    {call: Call{Method: "HTTP tiles", HTTP: true}, code: codes.OK},
		"/healthz":       {call: Call{Method: "HTTP /healthz", HTTP: true}, code: codes.OK},
		"/NCT01234567/x": {call: Call{Method: "HTTP page", HTTP: true}, code: codes.NotFound, reason: reasonNoSuchPath},
		"/v1/NCT0123456": {call: Call{Method: "HTTP", HTTP: true}, code: codes.NotFound, reason: reasonNoSuchPath},
		"/v1/checkpoint?x=1": {call: Call{Method: notaryv1.NotaryService_GetCheckpoint_FullMethodName, HTTP: true},
			code: codes.InvalidArgument, reason: trial.ReasonUnknownField},
	} {
		w.do(web, "GET", path, nil)
		_, over, _ := o.take(t, 1)
		got := over[0]
		if got.call.Began.IsZero() || got.took <= 0 || got.inside {
			t.Errorf("%s: got %+v, want a time and no begun call", path, got)
		}
		got.took, got.call.Began = 0, time.Time{}
		if got != want {
			t.Errorf("%s: got %+v, want %+v", path, got, want)
		}
	}
}

func (w *world) observeStream(t *testing.T, o *seen) {
	t.Helper()
	items := w.items()
	var body bytes.Buffer
	for _, item := range items {
		b, _ := protojson.Marshal(item)
		body.Write(append(b, '\n'))
	}
	w.do(w.web(), "POST", "/v1/statements:stream", body.Bytes(), append(w.as("site"), "Content-Type", ndjson)...)
	began, over, refused := o.take(t, len(items)+1)
	statements := 0
	for _, e := range over {
		if e.call.Statement {
			statements++
		}
		if !e.call.HTTP || !e.inside {
			t.Errorf("got %+v, want a call over HTTP that began", e)
		}
	}
	if statements != len(items) || len(began) != len(over) {
		t.Errorf("got %d statements of %d begun calls, want %d of %d", statements, len(began), len(items), len(items)+1)
	}
	if len(refused) != len(items)-2 {
		t.Errorf("got refusals %v, want one for all but two statements", refused)
	}
}
