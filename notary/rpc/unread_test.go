package rpc

import (
	"context"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/protobuf/proto"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// TestShutdownUnread shuts down while callers do not read, who hold it no longer than
// the patience with them: nobody is cut off at the deadline.
func TestShutdownUnread(t *testing.T) {
	noWindow := http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}
	call := func(r *realStudy, method string, m proto.Message) {
		h2 := r.rawH2(r.grpcAddr, noWindow)
		must(t, h2.open(1, "/"+notaryv1.NotaryService_ServiceDesc.ServiceName+"/"+method, r.grpcFields("sponsor")...))
		must(t, h2.framer.WriteData(1, true, message(m)))
		h2.await(1, ":status")
	}
	for name, open := range map[string]func(*realStudy){
		"GetTrial":   func(r *realStudy) { call(r, "GetTrial", &notaryv1.GetTrialRequest{Trial: r.id.String()}) },
		"WatchTrial": func(r *realStudy) { call(r, "WatchTrial", &notaryv1.WatchTrialRequest{Trial: r.id.String()}) },
		"WatchTrial over HTTP": func(r *realStudy) {
			h2 := r.rawH2(r.httpAddr, noWindow)
			must(t, h2.framer.WriteHeaders(http2.HeadersFrameParam{
				StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: h2.encode("/v1/trials/"+r.id.String()+"/watch",
					":method", "GET", "authorization", "Bearer "+r.tokens["sponsor"]),
			}))
			h2.await(1, ":status")
		},
		"SubmitStream": func(r *realStudy) {
			h2 := r.rawH2(r.grpcAddr, noWindow)
			must(t, h2.open(1, "/"+notaryv1.NotaryService_ServiceDesc.ServiceName+"/SubmitStream", r.grpcFields("sponsor")...))
			again := &notaryv1.SubmitStreamRequest{Id: "one", Envelope: envelopeMessage(r.charter)}
			must(t, h2.framer.WriteData(1, false, message(again)))
			h2.await(1, ":status")
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRealStudy(t)
			r.srv.unread = 100 * time.Millisecond
			open(r)
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			must(t, r.srv.Shutdown(ctx))
		})
	}
}
