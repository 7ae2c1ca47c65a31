package rpc

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/trialnotary/trialnotary/trial"
)

// intercept returns what surrounds every call; every call is a stream here, see
// early. From the outside in: the call has its id and is logged; errors become
// statuses; a panic becomes an error; the caller is authenticated and the method
// permitted; the call is counted against the caller's limits; the message is read
// and looked at. It is one function, because a chain of them costs a dozen
// allocations a call.
func (s *Server) intercept(inProcess bool) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		growStack()
		a := arrivalOf(stream.Context())
		if a == nil {
			return status.Error(codes.Internal, "a call that did not arrive") // arrive is asked of each
		}
		c := &a.call
		c.id, c.method, c.began = requestID(a.header[requestIDKey]), info.FullMethod, time.Now()
		st := &callStream{ServerStream: stream, ctx: stream.Context(), limit: s.cfg.Limits.MaxMessage, id: [1]string{c.id}}
		if !inProcess {
			st.guest = guestOf(st.ctx)
		}
		st.guest.works()
		defer st.guest.rests()
		began := c.began

		err := s.serve(srv, st, a, inProcess, handler)
		if err != nil {
			err = s.refuse(st.ctx, err).Err()
		}
		a.end()
		st.finish()
		s.ended(st.ctx, c, err, time.Since(began))
		return err
	}
}

// serve is what happens to a call inside of its log line and its status.
func (s *Server) serve(srv any, st *callStream, a *arrival, inProcess bool, handler grpc.StreamHandler) (err error) {
	c := &a.call
	defer s.catchPanic(c.id, c.method, &err)
	if err := s.admit(st, a, inProcess); err != nil {
		return err
	}
	if !inProcess { // there the HTTP front has counted the request
		leave, err := s.limiter.enter(c, classOf(c.method))
		if err != nil {
			return err
		}
		defer leave()
	}
	return handler(srv, st)
}

// callStream is the stream of one call as its handler sees it. It refuses messages
// that are too large and fields that are not known, and sends the call's id before
// the first message.
//
// It refuses by name what is above the limit. grpc's own limit is twice that: above
// it grpc answers in its own words, before anything else is asked.
type callStream struct {
	grpc.ServerStream
	ctx   context.Context
	limit int
	id    [1]string
	begun atomic.Bool // the headers are sent
	guest *guest      // nil over HTTP
	in    incoming    // what is being received, by one goroutine
}

func (s *callStream) Context() context.Context { return s.ctx }

// SendHeader implements grpc.ServerStream.
func (s *callStream) SendHeader(md metadata.MD) error {
	if s.begun.Swap(true) {
		return s.ServerStream.SendHeader(md) // which refuses it
	}
	if len(md) > 0 {
		if err := s.SetHeader(md); err != nil {
			return err
		}
	}
	return s.ServerStream.SendHeader(metadata.MD{requestIDKey: s.id[:]})
}

// SendMsg implements grpc.ServerStream.
func (s *callStream) SendMsg(m any) error {
	if !s.begun.Load() {
		// Together with the message: set in advance, the headers are copied. It
		// fails only if the connection is gone, and then so does the message.
		_ = s.SendHeader(nil)
	}
	s.guest.rests()
	defer s.guest.works()
	return s.ServerStream.SendMsg(m)
}

// finish has the id sent with the status of a call that was not answered.
func (s *callStream) finish() {
	if !s.begun.Swap(true) {
		_ = s.SetHeader(metadata.MD{requestIDKey: s.id[:]}) // fails only if the connection is gone
	}
}

// RecvMsg implements grpc.ServerStream.
func (s *callStream) RecvMsg(m any) error {
	into := m
	if message, ok := m.(proto.Message); ok {
		s.in = incoming{Message: message}
		into = &s.in
	}
	err := s.ServerStream.RecvMsg(into)
	known := s.in.known
	s.in = incoming{} // which would keep it
	if err == nil && !known {
		return s.refuseMarked(m)
	}
	if err == nil {
		return nil
	}
	if status.Code(err) == codes.Internal {
		// grpc calls it an internal error where the caller sent no message, two, or
		// one that is cut short, and has told the caller so. It is none of ours.
		return badRequest("", "what was sent is not one message of this call")
	}
	return err
}

func (s *callStream) refuseMarked(req any) error {
	m, ok := req.(proto.Message)
	if !ok || !hasUnknown(m.ProtoReflect()) {
		return nil
	}
	switch {
	case hasMark(m, tooLarge):
		return &trial.Refusal{Reason: reasonMessageTooLarge, Detail: fmt.Sprintf("the message has more than %d bytes", s.limit)}
	case hasMark(m, tooMany):
		return &trial.Refusal{Reason: trial.ReasonTooLarge, Path: "items", Detail: fmt.Sprintf("the message has more than %d items", maxItems)}
	case hasMark(m, unreadable):
		return badRequest("", "the bytes are no message of this call")
	}
	return &trial.Refusal{Reason: trial.ReasonUnknownField, Detail: "the message has a field that this version does not know"}
}

// ended logs how a call ended and tells the Observer. Neither the request nor the
// error's text is logged: both may hold content of a trial.
func (s *Server) ended(ctx context.Context, c *call, err error, took time.Duration) {
	st, _ := status.FromError(err)
	e := &ending{id: c.id, method: c.method, address: c.address, user: c.name(), code: st.Code(), reason: reasonIn(st), took: took}
	s.end(ctx, c, st, time.Since(c.began))
	logged, unlogged := s.limiter.logs(trial.Reason(e.reason))
	if !logged {
		return
	}
	level, message := zap.InfoLevel, "answered"
	if err != nil {
		level, message = zap.WarnLevel, "not answered"
	}
	line := s.log.Check(level, message)
	switch {
	case line == nil:
	case c.trace == "" && unlogged == 0:
		line.Write(zap.Inline(e))
	default:
		fields := []zap.Field{zap.Inline(e)}
		if c.trace != "" {
			fields = append(fields, zap.String("trace_id", c.trace))
		}
		if unlogged > 0 {
			fields = append(fields, zap.Uint64("refused_unlogged", unlogged))
		}
		line.Write(fields...)
	}
}

// ending is what the log line of each call has. One object is cheaper than a list
// of fields.
type ending struct {
	id, method, address, user string
	code                      codes.Code
	reason                    string
	took                      time.Duration
}

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (e *ending) MarshalLogObject(to zapcore.ObjectEncoder) error {
	to.AddString("request_id", e.id)
	to.AddString("method", e.method)
	to.AddString("address", e.address)
	to.AddString("user", e.user)
	to.AddString("code", e.code.String())
	to.AddString("reason", e.reason)
	to.AddDuration("took", e.took)
	return nil
}

func (c *call) name() string {
	if c.user == nil {
		return ""
	}
	return c.user.Name
}

// recoverPanic turns a panic into an error.
func (s *Server) recoverPanic(ctx context.Context, method string, next func(context.Context) error) (err error) {
	defer s.catchPanic(callOf(ctx).id, method, &err)
	return next(ctx)
}

// catchPanic, deferred, turns a panic into an error. What panicked goes to the log
// with its stack: a bug is worth more there than the silence of a value that might
// hold content, and only its type is written.
func (s *Server) catchPanic(id, method string, err *error) {
	if p := recover(); p != nil {
		s.logPanic(id, method, p)
		*err = fmt.Errorf("panic of type %T", p)
	}
}

func (s *Server) logPanic(id, method string, p any) {
	s.log.Error("panic", zap.String("request_id", id), zap.String("method", method),
		zap.String("type", fmt.Sprintf("%T", p)), zap.ByteString("stack", debug.Stack()))
}

// admit authenticates the caller and asks the policy.
func (s *Server) admit(st *callStream, a *arrival, inProcess bool) error {
	c := &a.call
	if err := s.peerOf(st.ctx, a, inProcess); err != nil {
		return err
	}
	var err error
	c.user, err = s.caller(st.ctx, c)
	st.ctx = s.begin(st.ctx, c)
	return err
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
