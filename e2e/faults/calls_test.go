package faults

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// site is a caller, and everything that was ever acknowledged to it.
type site struct {
	n    *notary
	conn *grpc.ClientConn
	ctx  context.Context

	mu       sync.Mutex // guards receipts
	receipts []*answer
}

type answer struct {
	env *trial.Envelope
	got *notaryv1.Receipt
}

func (n *notary) site() *site { return &site{n: n} }

// dial connects to a server, instead of the one before.
func (c *site) dial(t *testing.T, s *server) {
	t.Helper()
	ca, err := os.ReadFile(filepath.Join(c.n.dir, "tls/ca.crt"))
	must(t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	c.conn, err = grpc.NewClient(s.addr, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: pool,
	})))
	must(t, err)
	t.Cleanup(func() { _ = c.conn.Close() })
	c.ctx = metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+c.n.token)
}

func (c *site) api() notaryv1.NotaryServiceClient { return notaryv1.NewNotaryServiceClient(c.conn) }

// submit submits and keeps the receipt.
func (c *site) submit(env *trial.Envelope) (*notaryv1.Receipt, error) {
	ctx, cancel := context.WithTimeout(c.ctx, time.Minute)
	defer cancel()
	r, err := c.api().Submit(ctx, &notaryv1.SubmitRequest{Envelope: &notaryv1.Envelope{
		Payload: env.Payload, PayloadType: env.PayloadType, Signatures: []*notaryv1.Signature{{Sig: env.Sig, Keyid: env.KeyID}},
	}})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.receipts = append(c.receipts, &answer{env, r.GetReceipt()})
	return r.GetReceipt(), nil
}

// submitAll submits at once and returns each one's error, nil where it has its
// receipt.
func (c *site) submitAll(envs []*trial.Envelope) []error {
	errs := make([]error, len(envs))
	var wait sync.WaitGroup
	for i, env := range envs {
		wait.Go(func() { _, errs[i] = c.submit(env) })
	}
	wait.Wait()
	return errs
}

func (c *site) mustSubmit(t *testing.T, envs ...*trial.Envelope) {
	t.Helper()
	for _, err := range c.submitAll(envs) {
		must(t, err)
	}
}

// wantReadable demands that reads are answered.
func (c *site) wantReadable(t *testing.T) {
	t.Helper()
	id := c.receipts[0].got.GetStatementId()
	if _, err := c.api().GetReceipt(c.ctx, &notaryv1.GetReceiptRequest{StatementId: id}); err != nil {
		t.Errorf("reading a receipt: %v", err)
	}
	if _, err := c.api().ListStatements(c.ctx, &notaryv1.ListStatementsRequest{Trial: c.n.trust.Charter.String(), PageSize: 10}); err != nil {
		t.Errorf("listing: %v", err)
	}
}

func (c *site) serving() bool {
	r, err := grpc_health_v1.NewHealthClient(c.conn).Check(c.ctx, &grpc_health_v1.HealthCheckRequest{})
	return err == nil && r.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING
}

// reasonOf returns the reason of a refusal, and whether it says when to come
// back.
func reasonOf(err error) (reason string, comeBack bool) {
	for _, d := range status.Convert(err).Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			reason = d.GetReason()
		case *errdetails.RetryInfo:
			comeBack = true
		}
	}
	return reason, comeBack
}

// wantReasons demands that every error is a refusal with one of the reasons that
// tells to come back. It returns the number of receipts.
func wantReasons(t *testing.T, errs []error, reasons ...string) (receipts int) {
	t.Helper()
	for _, err := range errs {
		if err == nil {
			receipts++
			continue
		}
		got, comeBack := reasonOf(err)
		ok := false
		for _, want := range reasons {
			ok = ok || got == want
		}
		if !ok || !comeBack || status.Code(err) != codes.Unavailable {
			t.Errorf("got %v (%s, come back: %t), want one of %v", err, got, comeBack, reasons)
		}
	}
	return receipts
}

// audit demands, after a restart, that what was ever acknowledged holds: each
// receipt verifies offline, the same bytes bring the same receipt, no index was
// used twice, and the full check passes. What had no answer gets one.
func (c *site) audit(t *testing.T, unanswered []*trial.Envelope) {
	t.Helper()
	c.n.check(t)
	s := c.n.start(t)
	c.dial(t, s)
	again := slices.Clone(unanswered)
	for _, a := range c.receipts {
		again = append(again, a.env)
	}
	c.mustSubmit(t, again...)
	index, used := map[string]uint64{}, map[uint64]string{}
	for _, a := range c.receipts {
		id, at := a.got.GetStatementId(), a.got.GetLogIndex()
		if other, ok := used[at]; ok && other != id {
			t.Errorf("index %d stands on the receipts of %s and %s", at, id, other)
		}
		if first, ok := index[id]; ok && first != at {
			t.Errorf("statement %s has the indexes %d and %d", id, first, at)
		}
		index[id], used[at] = at, id
		c.verify(t, a.got)
	}
	s.kill()
	c.n.check(t)
}

func (c *site) verify(t *testing.T, got *notaryv1.Receipt) {
	t.Helper()
	r, err := receipt.Parse([]byte(got.GetBundle()))
	must(t, err)
	ev, err := receipt.ParseEvidence([]byte(got.GetEvidence()))
	must(t, err)
	if v := receipt.Verify(r, ev, c.n.trust, nil); !v.Verified {
		t.Errorf("the receipt of index %d does not verify: %s", got.GetLogIndex(), v.Summary)
	}
}

// failed returns what has no receipt.
func failed(envs []*trial.Envelope, errs []error) (out []*trial.Envelope) {
	for i, err := range errs {
		if err != nil {
			out = append(out, envs[i])
		}
	}
	return out
}
