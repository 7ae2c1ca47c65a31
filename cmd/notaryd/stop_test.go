package main

import (
	"context"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// TestStopWithACallThatHangs stops a server while a caller keeps its call open for
// longer than times.shutdown. The call is cut off; log and database are closed all
// the same, so that the same process can open them again.
func TestStopWithACallThatHangs(t *testing.T) {
	c, err := LoadConfig(newNotary(t))
	if err != nil {
		t.Fatal(err)
	}
	c.Times.Shutdown = 200 * time.Millisecond
	c.TLS.Insecure = true
	ctx := context.WithoutCancel(t.Context())
	for range 5 { // a closed log is no matter of luck
		s, err := start(ctx, c, zap.NewNop(), time.Now)
		if err != nil {
			t.Fatalf("starting again: %v", err)
		}
		conn, err := grpc.NewClient(s.grpcAddr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// A call whose message never comes, and one that is answered: by then the
		// first has begun, for both are on one connection.
		if _, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, notaryv1.NotaryService_GetCheckpoint_FullMethodName); err != nil {
			t.Fatal(err)
		}
		if _, err := notaryv1.NewNotaryServiceClient(conn).GetCheckpoint(ctx, &notaryv1.GetCheckpointRequest{}); err != nil {
			t.Fatal(err)
		}
		if err := s.stop(ctx); err == nil {
			t.Error("got no error, want that a call was cut off")
		} else {
			t.Log(err)
		}
	}
}
