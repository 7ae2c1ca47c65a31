package rpc

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/tap"
)

// early returns the service with every unary call registered as a stream of one
// message each way, which is the same on the wire. grpc reads the message of a
// unary call before it asks any interceptor: whoever connects could make the
// server hold a message for each stream of each connection. Of a stream's call
// it reads what the handler asks for, so that the caller is admitted first.
func early(desc *grpc.ServiceDesc) *grpc.ServiceDesc {
	out := *desc
	out.Methods = nil
	out.Streams = slices.Clone(desc.Streams)
	for _, m := range desc.Methods {
		out.Streams = append(out.Streams, grpc.StreamDesc{
			StreamName: m.MethodName,
			// grpc asks stream interceptors, and so who calls, only of what is a
			// stream in one direction at least. The client sends one message either
			// way.
			ServerStreams: true,
			Handler: func(srv any, stream grpc.ServerStream) error {
				resp, err := m.Handler(srv, stream.Context(), stream.RecvMsg, nil)
				if err != nil {
					return err
				}
				return stream.SendMsg(resp)
			},
		})
	}
	return &out
}

// registrar registers services by early.
type registrar struct{ *grpc.Server }

func (r registrar) RegisterService(desc *grpc.ServiceDesc, impl any) {
	r.Server.RegisterService(early(desc), impl)
}

// arrival is a call of gRPC from its first header on. It is the call's context as
// well, so that what is known of a call is found where it is asked for without a
// context for each piece.
type arrival struct {
	context.Context
	call   call
	header metadata.MD        // as it came: nobody alters it
	cancel context.CancelFunc // ends the call's time; nil for long calls
}

// Value implements context.Context.
func (a *arrival) Value(key any) any {
	switch key.(type) {
	case callKey:
		return &a.call
	case arrivalKey:
		return a
	}
	return a.Context.Value(key)
}

type arrivalKey struct{}

func arrivalOf(ctx context.Context) *arrival {
	a, _ := ctx.Value(arrivalKey{}).(*arrival)
	return a
}

// end ends the timer of arrive.
func (a *arrival) end() {
	if a.cancel != nil {
		a.cancel()
	}
}

// arrive gives a call its time before anything of it is read. It is set here and
// not in an interceptor because only the stream's own context ends a read from a
// caller that sends slowly.
func (s *Server) arrive(ctx context.Context, info *tap.Info) (context.Context, error) {
	a := &arrival{Context: ctx, header: info.Header}
	if policy[info.FullMethodName].long {
		return a, nil
	}
	limit := s.cfg.Limits.CallTimeout
	if nameless(ctx, info) {
		limit = min(limit, strangerTimeout)
	}
	// The transport cancels the parent when the call ends, which releases the
	// timer also where no handler comes to know of the call.
	a.Context, a.cancel = context.WithTimeout(ctx, limit)
	return a, nil
}

// strangerTimeout bounds a call without a caller: what such calls may ask for is
// answered from memory, so only one that is sent slowly takes long.
const strangerTimeout = 10 * time.Second

// nameless tells that a call comes with no credential at all. Whether one is
// right is found out later.
func nameless(ctx context.Context, info *tap.Info) bool {
	if len(info.Header[authorizationKey]) > 0 || len(info.Header[handoverKey]) > 0 {
		return false
	}
	p, ok := peer.FromContext(ctx)
	if !ok {
		return true
	}
	t, ok := p.AuthInfo.(credentials.TLSInfo)
	return !ok || len(t.State.VerifiedChains) == 0
}
