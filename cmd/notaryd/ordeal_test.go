package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/notary/tesseralog"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// callers is how many calls of an ordeal are in flight.
const callers = 12

// ordeal is a notary that suffers faults under load, and everything that it ever
// acknowledged: that is what must hold for ever.
type ordeal struct {
	*story

	mu   sync.Mutex // guards what follows
	made int
	// lost were sent and not answered: they are sent again, the same bytes.
	lost        []*trial.Envelope
	answered    map[trial.ID]*answer
	order       []*answer
	checkpoints map[receipt.Hash]receipt.Checkpoint // seen anywhere, by the hash of their bytes
}

// answer is one receipt that a caller got.
type answer struct {
	env *trial.Envelope
	got *notaryv1.Receipt
}

func newOrdeal(t *testing.T) *ordeal {
	t.Helper()
	return &ordeal{story: trialForLoad(t), answered: map[trial.ID]*answer{}, checkpoints: map[receipt.Hash]receipt.Checkpoint{}}
}

// load submits from many callers until the server is gone; fault runs beside
// them.
func (o *ordeal) load(t *testing.T, fault func()) {
	t.Helper()
	api, ctx := o.connect(t)
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() {
			for o.submitNext(ctx, t, api) {
			}
		})
	}
	fault()
	wait.Wait()
}

// settle sends every statement again to a server without faults, those without
// an answer first, and stops it the hard way.
func (o *ordeal) settle(t *testing.T) {
	t.Helper()
	p := o.spawn(t)
	api, ctx := o.connect(t)
	lost := o.lost
	o.lost = nil
	o.submitAll(ctx, t, api, lost)
	if n := len(o.lost); n > 0 {
		t.Errorf("%d statements still have no answer", n)
	}
	again := make([]*trial.Envelope, 0, len(o.order))
	for _, a := range o.order {
		again = append(again, a.env)
	}
	o.submitAll(ctx, t, api, again)
	p.kill(t)
}

// submitAll submits each statement once.
func (o *ordeal) submitAll(ctx context.Context, t *testing.T, api notaryv1.NotaryServiceClient, envs []*trial.Envelope) {
	t.Helper()
	var next atomic.Int64
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(envs)); i = next.Add(1) - 1 {
				o.submit(ctx, t, api, envs[i])
			}
		})
	}
	wait.Wait()
}

// submitNext submits a statement: one without an answer if there is any, now and
// then one that has its receipt, else a new one. It returns false once the
// server does not answer.
func (o *ordeal) submitNext(ctx context.Context, t *testing.T, api notaryv1.NotaryServiceClient) bool {
	t.Helper()
	return !t.Failed() && o.submit(ctx, t, api, o.next(t))
}

func (o *ordeal) next(t *testing.T) *trial.Envelope {
	t.Helper()
	o.mu.Lock()
	o.made++
	n, last := o.made, len(o.lost)-1
	var env *trial.Envelope
	switch {
	case last >= 0:
		env, o.lost = o.lost[last], o.lost[:last]
	case n%8 == 0 && len(o.order) > 0:
		env = o.order[n%len(o.order)].env
	}
	o.mu.Unlock()
	if env == nil {
		files := 1
		if n%5 == 2 {
			files = manyFiles
		}
		env = o.signFiles(t, o.people["coordinator-"+siteNorth], fmt.Sprint("ordeal ", n), files)
	}
	return env
}

func (o *ordeal) submit(ctx context.Context, t *testing.T, api notaryv1.NotaryServiceClient, env *trial.Envelope) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	got, err := api.Submit(ctx, &notaryv1.SubmitRequest{Envelope: wire(env)})
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.lost = append(o.lost, env)
		if c := status.Code(err); c != codes.Unavailable && c != codes.DeadlineExceeded {
			t.Errorf("a submission was refused: %v", err)
		}
		return false
	}
	o.acknowledged(t, env, got.GetReceipt())
	return true
}

// acknowledged needs mu. A statement has one receipt for ever: the same envelope
// at the same index, however often it is sent.
func (o *ordeal) acknowledged(t *testing.T, env *trial.Envelope, got *notaryv1.Receipt) {
	t.Helper()
	id := client.StatementID(env)
	r, err := receipt.Parse([]byte(got.GetBundle()))
	if err != nil {
		t.Errorf("statement %s: %v", id, err)
		return
	}
	o.saw(r.Checkpoint)
	old := o.answered[id]
	if old == nil {
		a := &answer{env: env, got: got}
		o.answered[id], o.order = a, append(o.order, a)
		return
	}
	if got.GetLogIndex() != old.got.GetLogIndex() || !bytes.Equal(r.Envelope.Sig, old.env.Sig) || !bytes.Equal(r.Envelope.Payload, old.env.Payload) {
		t.Errorf("statement %s has two receipts: index %d and index %d", id, old.got.GetLogIndex(), got.GetLogIndex())
	}
}

func (o *ordeal) saw(c receipt.Checkpoint) {
	o.checkpoints[receipt.LeafHash(c.Note)] = c
}

// check is the operator's full check, of the folder as a crash left it.
func (o *ordeal) check(t *testing.T) {
	t.Helper()
	if code, stdout, stderr := notaryd(t, "check", "--config", o.path("notaryd.yaml")); code != exitOK {
		t.Fatalf("check: exit status %d: %s%s", code, stdout, stderr)
	}
}

// audit demands, with the server gone, that every receipt which was ever
// acknowledged verifies offline and stands in the log where it says, that no
// index was used twice, that all checkpoints ever seen are of one log, and that
// the full check passes.
func (o *ordeal) audit(t *testing.T) {
	t.Helper()
	o.check(t)
	leaves, roots := o.readLog(t)
	used := map[uint64]trial.ID{}
	for id, a := range o.answered {
		if other, ok := used[a.got.GetLogIndex()]; ok {
			t.Errorf("index %d stands on the receipts of %s and %s", a.got.GetLogIndex(), id, other)
		}
		used[a.got.GetLogIndex()] = id
	}
	var wait sync.WaitGroup
	for a := range slices.Chunk(o.order, len(o.order)/runtime.NumCPU()+1) {
		wait.Go(func() {
			for _, one := range a {
				o.auditReceipt(t, one.got, leaves)
			}
		})
	}
	wait.Wait()
	held := map[receipt.Hash]uint64{}
	for i, leaf := range leaves {
		if first, twice := held[leaf]; twice {
			t.Errorf("one entry stands at index %d and at index %d", first, i)
		}
		held[leaf] = uint64(i)
	}
	for _, c := range o.checkpoints {
		if c.Size >= uint64(len(roots)) || roots[c.Size] != c.Root {
			t.Errorf("a checkpoint of %d entries is not of this log", c.Size)
		}
	}
}

func (o *ordeal) auditReceipt(t *testing.T, got *notaryv1.Receipt, leaves []receipt.Hash) {
	t.Helper()
	r, err := receipt.Parse([]byte(got.GetBundle()))
	if err != nil {
		t.Error(err)
		return
	}
	ev, err := receipt.ParseEvidence([]byte(got.GetEvidence()))
	if err != nil {
		t.Error(err)
		return
	}
	if r.Index != got.GetLogIndex() || r.Index >= uint64(len(leaves)) || leaves[r.Index] != receipt.LeafHash(r.Entry) {
		t.Errorf("the log of %d entries does not hold statement %s at index %d", len(leaves), got.GetStatementId(), r.Index)
	}
	if v := receipt.Verify(r, ev, o.trust, nil); !v.Verified {
		t.Errorf("the receipt of index %d does not verify: %s", r.Index, v.Summary)
	}
}

// readLog returns the leaf hash of every entry of the log and the root of every
// size: what any checkpoint of this log can have been.
func (o *ordeal) readLog(t *testing.T) (leaves, roots []receipt.Hash) {
	t.Helper()
	p := &parts{config: o.config}
	_, err := p.openStorage(t.Context(), tesseralog.Config{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	o.saw(p.log.Checkpoint())
	grown := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	roots = append(roots, receipt.Hash(rfc6962.DefaultHasher.EmptyRoot()))
	err = p.log.Scan(t.Context(), 0, func(_ uint64, entry []byte) error {
		leaf := receipt.LeafHash(entry)
		if err := grown.Append(leaf[:], nil); err != nil {
			return err
		}
		root, err := grown.GetRootHash(nil)
		leaves, roots = append(leaves, leaf), append(roots, receipt.Hash(root))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return leaves, roots
}

// connect dials the server as a site, without the client library, whose checks
// and repeats are not wanted here.
func (s *story) connect(tb testing.TB) (notaryv1.NotaryServiceClient, context.Context) {
	tb.Helper()
	token, err := os.ReadFile(s.path("tokens", "site-"+siteNorth))
	if err != nil {
		tb.Fatal(err)
	}
	ca, err := os.ReadFile(s.path("tls/ca.crt"))
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	conn, err := grpc.NewClient(s.config.Listen.GRPC, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: pool,
	})))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	ctx := metadata.AppendToOutgoingContext(tb.Context(), "authorization", "Bearer "+strings.TrimSpace(string(token)))
	return notaryv1.NewNotaryServiceClient(conn), ctx
}

func wire(env *trial.Envelope) *notaryv1.Envelope {
	return &notaryv1.Envelope{
		Payload: env.Payload, PayloadType: env.PayloadType,
		Signatures: []*notaryv1.Signature{{Sig: env.Sig, Keyid: env.KeyID}},
	}
}
