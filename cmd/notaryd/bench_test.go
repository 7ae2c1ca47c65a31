package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// BenchmarkSubmit measures the whole path over gRPC on loopback: server, TLS and
// load in one process, envelopes signed in advance. Beside the rate it reports
// the ratio to what one core does in bare P-256 verifications in the same run,
// which is the part that no notary can leave out. The stages have benchmarks of
// their own in the packages below.
func BenchmarkSubmit(b *testing.B) {
	for _, inFlight := range []int{1, 16, 256, 1024} {
		b.Run(fmt.Sprintf("unary/inflight=%d", inFlight), func(b *testing.B) {
			benchmarkSubmit(b, inFlight, unary)
		})
	}
	b.Run("stream/inflight=1024", func(b *testing.B) { benchmarkSubmit(b, 1024, stream) })
}

type submitter func(ctx context.Context, b *testing.B, api notaryv1.NotaryServiceClient, envs []*notaryv1.Envelope, inFlight int) []time.Duration

func benchmarkSubmit(b *testing.B, inFlight int, submit submitter) {
	b.Helper()
	s := runningTrial(b)
	envs := make([]*notaryv1.Envelope, b.N)
	for i := range envs {
		env := s.signDataset(b, s.people["coordinator-"+siteNorth], fmt.Sprintf("%s %d", b.Name(), i))
		envs[i] = &notaryv1.Envelope{
			Payload: env.Payload, PayloadType: env.PayloadType, Signatures: []*notaryv1.Signature{{Sig: env.Sig, Keyid: env.KeyID}},
		}
	}
	api, ctx := s.rawClient(b)
	bare := bareVerifications(b)
	b.ResetTimer()
	took := submit(ctx, b, api, envs, inFlight)
	b.StopTimer()
	rate := float64(b.N) / b.Elapsed().Seconds()
	slices.Sort(took)
	b.ReportMetric(rate, "receipts/s")
	b.ReportMetric(rate/bare, "of-bare-P256")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// runningTrial is the demo's trial, served.
func runningTrial(b *testing.B) *story {
	b.Helper()
	s := &story{dir: b.TempDir() + "/n", out: discard{}}
	ctx := context.WithoutCancel(b.Context())
	for _, step := range []func(context.Context) error{s.createNotary, s.openTrial, s.enrolPeople} {
		if err := step(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.Cleanup(func() {
		if err := s.end(ctx); err != nil {
			b.Error(err)
		}
	})
	return s
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// rawClient dials without the client library, whose checks are a site's work and
// not the server's.
func (s *story) rawClient(b *testing.B) (notaryv1.NotaryServiceClient, context.Context) {
	b.Helper()
	token, err := os.ReadFile(s.path("tokens", "site-"+siteNorth))
	if err != nil {
		b.Fatal(err)
	}
	ca, err := os.ReadFile(s.path("tls/ca.crt"))
	if err != nil {
		b.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	conn, err := grpc.NewClient(s.config.Listen.GRPC, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: pool,
	})))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	ctx := metadata.AppendToOutgoingContext(b.Context(), "authorization", "Bearer "+strings.TrimSpace(string(token)))
	return notaryv1.NewNotaryServiceClient(conn), ctx
}

func unary(ctx context.Context, b *testing.B, api notaryv1.NotaryServiceClient, envs []*notaryv1.Envelope, inFlight int) []time.Duration {
	b.Helper()
	took := make([]time.Duration, len(envs))
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(inFlight, len(envs)) {
		wait.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(envs) {
					return
				}
				began := time.Now()
				if _, err := api.Submit(ctx, &notaryv1.SubmitRequest{Envelope: envs[i]}); err != nil {
					b.Error(err)
					return
				}
				took[i] = time.Since(began)
			}
		})
	}
	wait.Wait()
	return took
}

func stream(ctx context.Context, b *testing.B, api notaryv1.NotaryServiceClient, envs []*notaryv1.Envelope, inFlight int) []time.Duration {
	b.Helper()
	st, err := api.SubmitStream(ctx)
	if err != nil {
		b.Fatal(err)
	}
	began := make([]time.Time, len(envs))
	took := make([]time.Duration, len(envs))
	places := make(chan struct{}, inFlight)
	go func() {
		for i, env := range envs {
			places <- struct{}{}
			began[i] = time.Now()
			if st.Send(&notaryv1.SubmitStreamRequest{Id: fmt.Sprint(i), Envelope: env}) != nil {
				return // Recv says why
			}
		}
		_ = st.CloseSend()
	}()
	for range envs {
		answer, err := st.Recv()
		if err != nil {
			b.Fatal(err)
		}
		if answer.GetReceipt() == nil {
			b.Fatalf("refused: %v", answer.GetError())
		}
		var i int
		if _, err := fmt.Sscan(answer.GetId(), &i); err != nil {
			b.Fatal(err)
		}
		took[i] = time.Since(began[i])
		<-places
	}
	return took
}

// bareVerifications returns how many P-256 signatures one core verifies a
// second.
func bareVerifications(b *testing.B) float64 {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256([]byte(trial.PredicateType))
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	const n = 2000
	began := time.Now()
	for range n {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], sig) {
			b.Fatal("the baseline's signature does not verify")
		}
	}
	return n / time.Since(began).Seconds()
}
