package rpc

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/trialnotary/trialnotary/trial"
)

// Observer receives measurements of calls. Its methods are called for every call,
// by many goroutines, and must return at once.
type Observer interface {
	// Begin is told of a call once it was found out who calls, or that it is
	// refused. It returns the context that the call goes on with, and the id of
	// the call's trace, "" without one.
	Begin(ctx context.Context, c Call) (context.Context, string)
	// End is told how a call ended. ctx is Begin's; it is another one where a call
	// was refused before it began.
	End(ctx context.Context, c Call, code codes.Code, reason trial.Reason, took time.Duration)
	// Refused is told of everything that was not answered as asked, also of one
	// statement of a stream.
	Refused(reason trial.Reason)
}

// Call is what an Observer is told of a call: nothing that a caller chose, but
// for Traceparent.
type Call struct {
	// Method is the full name of an RPC, or the fixed name of an HTTP path.
	Method string
	// HTTP tells that it came over HTTP.
	HTTP bool
	// Statement tells that it is one statement of a stream, within another call.
	Statement bool
	Began     time.Time
	// Traceparent is the W3C header that an authenticated caller sent, else "".
	Traceparent string
}

// The metadata key and the HTTP header of the caller's trace.
const (
	traceparentKey    = "traceparent"
	traceparentHeader = "Traceparent"
)

// begin tells the Observer of a call. The trace that a caller names is passed on
// if the caller is known: who is not must have no say in what is traced.
func (s *Server) begin(ctx context.Context, c *call) context.Context {
	if s.cfg.Observer == nil {
		return ctx
	}
	seen := Call{Method: c.method, HTTP: c.http, Began: c.began}
	if c.user != nil {
		seen.Traceparent = c.traceparent
	}
	ctx, c.trace = s.cfg.Observer.Begin(ctx, seen)
	c.traced = ctx
	return ctx
}

// end tells the Observer how a call ended.
func (s *Server) end(ctx context.Context, c *call, st *status.Status, took time.Duration) {
	if s.cfg.Observer == nil {
		return
	}
	if c.traced != nil {
		ctx = c.traced
	}
	s.cfg.Observer.End(ctx, Call{Method: c.method, HTTP: c.http, Began: c.began}, st.Code(), trial.Reason(reasonIn(st)), took)
}

// beginStatement tells the Observer of one statement of a stream.
func (s *Server) beginStatement(ctx context.Context, method string, http bool) (context.Context, Call) {
	if s.cfg.Observer == nil {
		return ctx, Call{}
	}
	seen := Call{Method: method, HTTP: http, Statement: true, Began: time.Now()}
	ctx, _ = s.cfg.Observer.Begin(ctx, seen)
	return ctx, seen
}

// endStatement tells the Observer how it ended.
func (s *Server) endStatement(ctx context.Context, seen Call, st *status.Status) {
	if s.cfg.Observer != nil {
		s.cfg.Observer.End(ctx, seen, st.Code(), trial.Reason(reasonIn(st)), time.Since(seen.Began))
	}
}
