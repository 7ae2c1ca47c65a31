package rpc

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// A caller who reads no answers of a stream keeps the same user from nothing
// elsewhere.
func TestUnreadStreamLocksNobodyOut(t *testing.T) {
	for name, c := range map[string]struct {
		user string
		p    fakePayload
	}{
		"statements":              {"site", fakePayload{Kind: "dataset", Site: "DE-01"}},
		"statements of authority": {"sponsor", fakePayload{Kind: "key-enrolment"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.Limits.UserInFlight, c.Limits.UserAuthority = 100, 10 })
			c.p.Charter = w.trialA.String()
			stream, err := w.grpc().SubmitStream(w.asCtx(c.user))
			if err != nil {
				t.Fatal(err)
			}
			var sent atomic.Int64
			go func() { // until the stream ends
				for i := range 100_000 {
					p := c.p
					p.Nonce = fmt.Sprint("unread ", i)
					if stream.Send(&notaryv1.SubmitStreamRequest{Id: fmt.Sprint(i), Envelope: envelopeMessage(p.envelope())}) != nil {
						return
					}
					sent.Add(1)
				}
			}()
			last := int64(-1)
			eventually(t, "the server takes no more of a stream that nobody reads", func() bool {
				before := last
				last = sent.Load()
				time.Sleep(100 * time.Millisecond) // too short a time makes the test easier
				return last > 1000 && last == before
			})
			eventually(t, "the user submits over another connection", func() bool {
				_, err := w.grpc().Submit(w.asCtx(c.user), &notaryv1.SubmitRequest{Envelope: envelopeMessage(c.p.envelope())})
				return err == nil
			})
		})
	}
}

// An answered id may be used again at once.
func TestStreamIDsAgain(t *testing.T) {
	w := newWorld(t)
	stream, err := w.grpc().SubmitStream(w.asCtx("site"))
	if err != nil {
		t.Fatal(err)
	}
	var last *notaryv1.SubmitStreamResponse
	for range 200 {
		must(t, stream.Send(w.items()[0]))
		resp, err := stream.Recv()
		if err != nil || last != nil && !proto.Equal(resp, last) {
			t.Fatalf("got %v (%v), want the same receipt", resp, err)
		}
		last = resp
	}
}
