package rpc

import (
	"fmt"
	"sync"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/trialnotary/trialnotary/notary/store"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// benchStudy is a trial with a data manager over the real service, and signed
// statements to submit.
func benchStudy(b *testing.B) (*world, []*notaryv1.Envelope) {
	b.Helper()
	w, db := newRealWorld(b)
	w.realUser(db, "sponsor", store.Grant{Role: store.RoleSponsor, Organisation: "Acme"})
	s := newStudy(b, "Acme", nil)
	manager, enrolment := s.enrol("dm", trial.RoleDataManager, trial.OrganisationSponsor)
	for _, env := range []*trial.Envelope{s.charter, enrolment} {
		if _, err := w.grpc().Submit(w.asCtx("sponsor"), &notaryv1.SubmitRequest{Envelope: envelopeMessage(env)}); err != nil {
			b.Fatal(err)
		}
	}
	envelopes := make([]*notaryv1.Envelope, b.N)
	for i := range envelopes {
		envelopes[i] = envelopeMessage(s.dataset(manager, "DE-01", fmt.Sprint(i)))
	}
	return w, envelopes
}

// BenchmarkSubmit submits over gRPC with TLS, one statement a call, with many
// callers: the whole path of the server, and of its client in the same process.
func BenchmarkSubmit(b *testing.B) {
	for _, callers := range []int{1, 256, 1024} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			w, envelopes := benchStudy(b)
			client, auth := w.grpc(), "Bearer "+w.tokens["sponsor"]
			ctx := metadata.AppendToOutgoingContext(b.Context(), authorizationKey, auth)
			var wg sync.WaitGroup
			next := make(chan *notaryv1.Envelope)
			b.ResetTimer()
			for range callers {
				wg.Go(func() {
					for env := range next {
						if _, err := client.Submit(ctx, &notaryv1.SubmitRequest{Envelope: env}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for _, env := range envelopes {
				next <- env
			}
			close(next)
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "receipts/s")
		})
	}
}

// BenchmarkSubmitStream submits over one stream.
func BenchmarkSubmitStream(b *testing.B) {
	w, envelopes := benchStudy(b)
	ctx := metadata.AppendToOutgoingContext(b.Context(), authorizationKey, "Bearer "+w.tokens["sponsor"])
	stream, err := w.grpc().SubmitStream(ctx)
	must(b, err)
	b.ResetTimer()
	go func() {
		for i, env := range envelopes {
			if stream.Send(&notaryv1.SubmitStreamRequest{Id: fmt.Sprint(i), Envelope: env}) != nil {
				return // Recv says why
			}
		}
		_ = stream.CloseSend()
	}()
	for range envelopes {
		resp, err := stream.Recv()
		if err != nil || resp.GetReceipt() == nil {
			b.Fatalf("got %v (%v), want a receipt", resp, err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "receipts/s")
}
