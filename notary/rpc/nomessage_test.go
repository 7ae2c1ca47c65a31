package rpc

import (
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// TestNotOneMessage sends unary calls no message and two. Whoever connects can, so
// it must not look like an internal error, which wakes somebody up.
func TestNotOneMessage(t *testing.T) {
	w := newWorld(t)
	conn := w.dial()
	methods := []string{notaryv1.NotaryService_GetCheckpoint_FullMethodName, "/grpc.health.v1.Health/Check"}
	for _, method := range methods {
		for _, n := range []int{0, 2} {
			stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
			must(t, err)
			for range n {
				_ = stream.SendMsg(&emptypb.Empty{}) // fails where the call is refused by then
			}
			must(t, stream.CloseSend())
			if err := stream.RecvMsg(&emptypb.Empty{}); status.Code(err) != codes.Internal {
				t.Errorf("%s with %d messages: got %v, want grpc's own refusal", method, n, err)
			}
		}
	}
	eventually(t, "every call is logged", func() bool { return w.logs.FilterMessage("not answered").Len() == 2*len(methods) })
	for _, entry := range w.logs.FilterMessage("not answered").All() {
		if got := entry.ContextMap()["reason"]; got != string(reasonBadRequest) {
			t.Errorf("got reason %v, want %s", got, reasonBadRequest)
		}
	}
	if n := w.logs.FilterMessage("internal error").Len(); n > 0 {
		t.Errorf("got %d internal errors, want none", n)
	}
}
