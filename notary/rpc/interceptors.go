package rpc

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/trialnotary/trialnotary/trial"
)

// around surrounds a call. Every call is a stream here: see early.
type around func(ctx context.Context, method string, next func(context.Context) error) error

// interceptors returns the options of a gRPC server. From the outside in: the
// call gets its id and is logged; errors become statuses; a panic becomes an
// error; the caller is authenticated and the method permitted; the call is
// counted against the caller's limits; the message is read and looked at.
func (s *Server) interceptors(inProcess bool) []grpc.ServerOption {
	chain := []around{s.observe, s.mapErrors, s.recoverPanic, s.admit(inProcess)}
	if !inProcess { // there the HTTP front has counted the request
		chain = append(chain, s.limited)
	}
	var stream []grpc.StreamServerInterceptor
	for _, a := range chain {
		stream = append(stream, a.stream())
	}
	return []grpc.ServerOption{grpc.ChainStreamInterceptor(append(stream, s.strict)...), grpc.InTapHandle(s.bound)}
}

func (a around) stream() grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		return a(stream.Context(), info.FullMethod, func(ctx context.Context) error {
			return handler(srv, &contextStream{ServerStream: stream, ctx: ctx})
		})
	}
}

// contextStream is a stream with another context.
type contextStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *contextStream) Context() context.Context { return s.ctx }

// strict refuses messages that are too large and fields that are not known.
func (s *Server) strict(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return handler(srv, &strictStream{stream, s.cfg.Limits.MaxMessage})
}

// strictStream refuses by name what is above the limit. grpc's own limit is twice
// that: above it grpc answers in its own words, before anything else is asked.
type strictStream struct {
	grpc.ServerStream
	limit int
}

func (s *strictStream) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if status.Code(err) == codes.Internal {
		// grpc calls it an internal error where the caller sent no message, two, or
		// one that is cut short, and has told the caller so. It is none of ours.
		return badRequest("", "what was sent is not one message of this call")
	}
	if err != nil {
		return err
	}
	if req, ok := m.(proto.Message); ok && proto.Size(req) > s.limit {
		return &trial.Refusal{Reason: reasonMessageTooLarge, Detail: fmt.Sprintf("the message has more than %d bytes", s.limit)}
	}
	return refuseUnknown(m)
}

func refuseUnknown(req any) error {
	m, ok := req.(proto.Message)
	if !ok || !hasUnknown(m.ProtoReflect()) {
		return nil
	}
	if isUnreadable(m) {
		return badRequest("", "the bytes are no message of this call")
	}
	return &trial.Refusal{Reason: trial.ReasonUnknownField, Detail: "the message has a field that this version does not know"}
}

// observe gives the call its id, sends the id back, and logs how the call ended.
// Neither the request nor the error's text is logged: both may hold content of a
// trial.
func (s *Server) observe(ctx context.Context, method string, next func(context.Context) error) error {
	growStack()
	began := time.Now()
	c := &call{id: requestID(metadata.ValueFromIncomingContext(ctx, requestIDKey)), method: method, began: began}
	ctx = withCall(ctx, c)
	_ = grpc.SetHeader(ctx, metadata.Pairs(requestIDKey, c.id)) // fails only if the connection is gone

	err := next(ctx)
	release(ctx)

	st, _ := status.FromError(err)
	took := time.Since(began)
	s.end(ctx, c, st, time.Since(c.began))
	fields := []zap.Field{
		zap.String("request_id", c.id),
		zap.String("method", method),
		zap.String("address", c.address),
		zap.String("user", c.name()),
		zap.Stringer("code", st.Code()),
		zap.String("reason", reasonIn(st)),
		zap.Duration("took", took),
	}
	if c.trace != "" {
		fields = append(fields, zap.String("trace_id", c.trace))
	}
	if line, unlogged := s.limiter.logs(trial.Reason(reasonIn(st))); !line {
		return err
	} else if unlogged > 0 {
		fields = append(fields, zap.Uint64("refused_unlogged", unlogged))
	}
	if err == nil {
		s.log.Info("answered", fields...)
	} else {
		s.log.Warn("not answered", fields...)
	}
	return err
}

func (c *call) name() string {
	if c.user == nil {
		return ""
	}
	return c.user.Name
}

// mapErrors is where errors become statuses, and where refusals are recorded.
func (s *Server) mapErrors(ctx context.Context, _ string, next func(context.Context) error) error {
	if err := next(ctx); err != nil {
		return s.refuse(ctx, err).Err()
	}
	return nil
}

// recoverPanic turns a panic into an error. What panicked goes to the log with
// its stack: a bug is worth more there than the silence of a value that might
// hold content, and only its type is written.
func (s *Server) recoverPanic(ctx context.Context, method string, next func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.logPanic(callOf(ctx).id, method, p)
			err = fmt.Errorf("panic of type %T", p)
		}
	}()
	return next(ctx)
}

func (s *Server) logPanic(id, method string, p any) {
	s.log.Error("panic", zap.String("request_id", id), zap.String("method", method),
		zap.String("type", fmt.Sprintf("%T", p)), zap.ByteString("stack", debug.Stack()))
}

// admit authenticates the caller and asks the policy.
func (s *Server) admit(inProcess bool) around {
	return func(ctx context.Context, method string, next func(context.Context) error) error {
		c := callOf(ctx)
		if err := s.peerOf(ctx, c, inProcess); err != nil {
			return err
		}
		var err error
		c.user, err = s.caller(ctx, c)
		ctx = s.begin(ctx, c)
		if err != nil {
			return err
		}
		return next(ctx)
	}
}

// caller authenticates the caller of a call and asks the policy. A long stream
// asks again from time to time.
func (s *Server) caller(ctx context.Context, c *call) (*User, error) {
	u, err := s.authenticate(ctx, c.cert)
	if err != nil {
		return nil, err
	}
	// Kept also when the policy refuses: the record names who was refused.
	c.user = u
	return u, permit(c.method, u)
}

// reasonIn returns the reason that a status carries, or "".
func reasonIn(st *status.Status) string {
	if st.Code() == codes.OK {
		return ""
	}
	if info := errorInfo(st); info != nil {
		return info.GetReason()
	}
	return ""
}
