package client

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/notary/tesseralog"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// testNotary is the real service behind a transport that fails on demand.
type testNotary struct {
	notaryv1.UnimplementedNotaryServiceServer
	t       testing.TB
	service *notary.Service
	listen  *bufconn.Listener

	mu sync.Mutex
	// payloads counts how often each payload arrived, envelopes each envelope.
	payloads, envelopes map[string]int
	// before may refuse a statement, after may lose or change its answer.
	before func(n int) error
	after  func(n int, r *notaryv1.Receipt) (*notaryv1.Receipt, error)
	// checkpoint replaces the newest checkpoint.
	checkpoint []byte
	// mark replaces the time mark that is answered.
	mark    *notaryv1.Receipt
	other   *notaryv1.Receipt // what GetReceipt answers instead
	arrived int
	// leftOut counts the receipts whose evidence the caller held.
	leftOut int
	// whole answers with whole receipts, whatever is asked for.
	whole bool
	// window bounds the statements in work on one stream; 0 is no bound.
	window int
	// messages are the numbers of items in the messages of streams, alter changes
	// results.
	messages []int
	alter    func(*notaryv1.SubmitStreamResults)

	sponsor, recovery *testKey
	trust             *receipt.Trust
}

type testKey struct {
	priv crypto.Signer
	pub  *trial.PublicKey
}

func newTestKey(tb testing.TB) *testKey {
	tb.Helper()
	priv, err := trial.GenerateKey()
	if err != nil {
		tb.Fatal(err)
	}
	pub, err := trial.NewPublicKey(priv.Public())
	if err != nil {
		tb.Fatal(err)
	}
	return &testKey{priv: priv, pub: pub}
}

// ed25519Signer signs C2SP notes.
type ed25519Signer struct {
	note.Verifier
	key ed25519.PrivateKey
}

func (s ed25519Signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

var testTime = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func newTestNotary(tb testing.TB) *testNotary {
	tb.Helper()
	n := &testNotary{t: tb, listen: bufconn.Listen(1 << 20), payloads: map[string]int{}, envelopes: map[string]int{}}
	ctx, dir := context.Background(), tb.TempDir()
	public, priv, err := ed25519.GenerateKey(rand.Reader)
	must(tb, err)
	logKey, err := receipt.NewLogKey("log.example", public)
	must(tb, err)
	signer := ed25519Signer{logKey.Verifier(), priv}
	must(tb, tesseralog.Create(ctx, filepath.Join(dir, "log"), signer))
	must(tb, store.Create(filepath.Join(dir, "notary.db")))
	db, err := store.Open(filepath.Join(dir, "notary.db"))
	must(tb, err)
	log, err := tesseralog.Open(ctx, tesseralog.Config{
		Dir: filepath.Join(dir, "log"), Signer: signer, Verifier: logKey.Verifier(), Marks: db,
		CheckpointInterval: 100 * time.Millisecond,
	})
	must(tb, err)
	statementKey, err := trial.GenerateKey()
	must(tb, err)
	n.service, err = notary.Open(ctx, notary.Config{
		Log: log, Store: db, Key: statementKey, LogKey: logKey,
		Policy: fmt.Appendf(nil, "log %s\nquorum none\n", logKey.VKey()),
	})
	must(tb, err)
	srv := grpc.NewServer()
	notaryv1.RegisterNotaryServiceServer(srv, n)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(n.listen) }()
	tb.Cleanup(func() {
		srv.Stop()
		must(tb, errors.Join(<-served, n.service.Close(ctx), log.Close(ctx), db.Close()))
	})
	return n
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// dial returns a client that waits for nothing between attempts.
func (n *testNotary) dial(o Options) *Client {
	n.t.Helper()
	o.Insecure = true
	o.dialer = func(ctx context.Context, _ string) (net.Conn, error) { return n.listen.DialContext(ctx) }
	if o.sleep == nil {
		o.sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	}
	c, err := Dial("localhost:1", o)
	must(n.t, err)
	n.t.Cleanup(func() { _ = c.Close() })
	return c
}

// open creates a trial with one enrolled person and returns her key.
func (n *testNotary) open(c *Client) *testKey {
	n.t.Helper()
	ctx := context.Background()
	n.sponsor, n.recovery = newTestKey(n.t), newTestKey(n.t)
	body := &trial.CharterBody{
		SponsorKey: n.sponsor.pub, RecoveryKey: n.recovery.pub, SponsorOrganisation: "Example Pharma",
		Sites: []trial.Site{{ID: "701", Name: "Charité"}},
	}
	sponsorProof, err := trial.SignPossession(n.sponsor.priv, trial.ID{}, body)
	must(n.t, err)
	recoveryProof, err := trial.SignPossession(n.recovery.priv, trial.ID{}, body)
	must(n.t, err)
	body.SponsorProof, body.RecoveryProof = sponsorProof, recoveryProof
	d := &Draft{
		Subjects: []trial.Subject{{Name: "sponsor-key", Digests: trial.SHA256(n.sponsor.pub.ID)}},
		Predicate: trial.Predicate{
			Kind: trial.KindCharter, Meaning: trial.MeaningApproval, Body: body,
			Signer: trial.Signer{KeyID: n.sponsor.pub.ID, Name: "Ada", Role: trial.RoleSponsor, Organisation: "Example Pharma"},
		},
	}
	env, err := d.Sign(n.sponsor.priv, time.Now(), "UTC")
	must(n.t, err)
	_, n.trust, err = c.CreateTrial(ctx, env)
	must(n.t, err)
	manager := newTestKey(n.t)
	n.enrol(c, manager)
	return manager
}

func (n *testNotary) enrol(c *Client, key *testKey) {
	n.t.Helper()
	ctx := context.Background()
	body := &trial.EnrolmentBody{
		HolderID: "mia", Holder: trial.HolderPerson, Name: "Mia Manager", Organisation: "Example Pharma",
		OrganisationType: trial.OrganisationSponsor, Roles: []trial.Role{trial.RoleDataManager}, AllSites: true,
		Kinds: []trial.Kind{trial.KindDataset}, Key: key.pub,
	}
	var err error
	body.Proof, err = trial.SignPossession(key.priv, n.trust.Charter, body)
	must(n.t, err)
	d, err := NewDraft(n.trust, nil, n.sponsor.pub, "")
	must(n.t, err)
	d.Subjects = []trial.Subject{{Name: "key", Digests: trial.SHA256(key.pub.ID)}}
	d.Predicate.Kind, d.Predicate.Meaning, d.Predicate.Body = trial.KindKeyEnrolment, trial.MeaningApproval, body
	env, err := d.Sign(n.sponsor.priv, time.Now(), "UTC")
	must(n.t, err)
	_, err = c.Submit(ctx, n.trust, env)
	must(n.t, err)
	n.trust, err = c.FetchTrust(ctx, n.trust.Charter.String())
	must(n.t, err)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.arrived, n.payloads, n.envelopes = 0, map[string]int{}, map[string]int{}
}

// dataset signs a statement about content.
func (n *testNotary) dataset(key *testKey, content string) *trial.Envelope {
	n.t.Helper()
	path := filepath.Join(n.t.TempDir(), "dm.csv")
	must(n.t, os.WriteFile(path, []byte(content), 0o600))
	h, err := HashFile(context.Background(), path, nil)
	must(n.t, err)
	d, err := NewDraft(n.trust, nil, key.pub, "")
	must(n.t, err)
	d.Subjects = []trial.Subject{h.Subject()}
	d.Predicate.Kind, d.Predicate.Meaning = trial.KindDataset, trial.MeaningAuthorship
	d.Predicate.Body = &trial.DataBody{Origin: trial.OriginSponsor, Purpose: trial.PurposeRoutine}
	env, err := d.Sign(key.priv, time.Now(), "UTC")
	must(n.t, err)
	return env
}

// take is Submit and one line of SubmitStream: count, fail on demand, submit,
// fail on demand.
func (n *testNotary) take(ctx context.Context, e *notaryv1.Envelope, form notaryv1.ReceiptForm) (*notaryv1.Receipt, error) {
	n.mu.Lock()
	n.arrived++
	k := n.arrived
	n.payloads[string(e.GetPayload())]++
	n.envelopes[string(e.GetPayload())+string(e.GetSignatures()[0].GetSig())]++
	before, after := n.before, n.after
	n.mu.Unlock()
	if before != nil {
		if err := before(k); err != nil {
			return nil, err
		}
	}
	want := notary.WholeReceipt
	if form == notaryv1.ReceiptForm_RECEIPT_FORM_PROOF && !n.whole {
		want = notary.ProofOnly
	}
	res, err := n.service.SubmitForm(ctx, &trial.Envelope{
		PayloadType: e.GetPayloadType(), Payload: e.GetPayload(),
		KeyID: e.GetSignatures()[0].GetKeyid(), Sig: e.GetSignatures()[0].GetSig(),
	}, nil, want)
	if err != nil {
		return nil, refusalStatus(err)
	}
	r := toReceipt(res)
	if after != nil {
		return after(k, r)
	}
	return r, nil
}

func refusalStatus(err error) error {
	s := status.New(codes.PermissionDenied, err.Error())
	if d, dErr := s.WithDetails(&errdetails.ErrorInfo{Reason: string(trial.ReasonOf(err)), Domain: "trialnotary.github.io"}); dErr == nil {
		s = d
	}
	return s.Err()
}

func toReceipt(res *notary.Result) *notaryv1.Receipt {
	r := &notaryv1.Receipt{
		StatementId: res.Record.ID.String(), LogIndex: res.Record.Index, Bundle: string(res.Bundle), Evidence: string(res.Evidence),
		EvidenceSha256: res.EvidenceSHA256,
	}
	if inc := res.Inclusion; inc != nil {
		r.Proof = &notaryv1.ReceiptProof{Checkpoint: string(inc.Checkpoint.Note), PublicKey: res.Record.SignerDER}
		for _, h := range inc.Path {
			r.Proof.Hashes = append(r.Proof.Hashes, h[:])
		}
	}
	return r
}

// leaveOut drops the evidence that the caller holds.
func (n *testNotary) leaveOut(r *notaryv1.Receipt, held string) {
	if held != "" && held == r.GetEvidenceSha256() {
		n.mu.Lock()
		defer n.mu.Unlock()
		r.Evidence = ""
		n.leftOut++
	}
}

func (n *testNotary) Submit(ctx context.Context, req *notaryv1.SubmitRequest) (*notaryv1.SubmitResponse, error) {
	r, err := n.take(ctx, req.GetEnvelope(), req.GetReceiptForm())
	n.leaveOut(r, req.GetHeldEvidence())
	return &notaryv1.SubmitResponse{Receipt: r}, err
}

// errCut ends the stream instead of answering.
var errCut = errors.New("cut")

func (n *testNotary) SubmitStream(stream notaryv1.NotaryService_SubmitStreamServer) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	var mu sync.Mutex
	cut := make(chan struct{}, 1)
	window := make(chan struct{}, max(n.window, 1))
	in := make(chan streamed)
	go func() {
		defer close(in)
		for {
			req, err := stream.Recv()
			if err != nil {
				return
			}
			n.message(req)
			for _, it := range req.GetItems() {
				in <- streamed{it, req.GetReceiptForm(), true}
			}
			if len(req.GetItems()) == 0 {
				in <- streamed{&notaryv1.SubmitStreamItem{
					Id: req.GetId(), Envelope: req.GetEnvelope(), HeldEvidence: req.GetHeldEvidence(),
				}, req.GetReceiptForm(), false}
			}
		}
	}()
	for {
		select {
		case <-cut:
			go func() {
				for range in { // let the receiver end
				}
			}()
			return status.Error(codes.Unavailable, "the connection was cut")
		case req, ok := <-in:
			if !ok {
				return nil
			}
			if n.window > 0 {
				window <- struct{}{}
			}
			wg.Go(func() {
				defer func() {
					if n.window > 0 {
						<-window
					}
				}()
				r, err := n.take(stream.Context(), req.GetEnvelope(), req.form)
				n.leaveOut(r, req.GetHeldEvidence())
				if errors.Is(err, errCut) {
					cut <- struct{}{}
					return
				}
				mu.Lock()
				defer mu.Unlock()
				_ = stream.Send(n.response(req, r, err))
			})
		}
	}
}

// streamed is a statement of a stream, and whether it came as an item.
type streamed struct {
	*notaryv1.SubmitStreamItem

	form notaryv1.ReceiptForm
	item bool
}

// message counts what came in one message.
func (n *testNotary) message(req *notaryv1.SubmitStreamRequest) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.messages = append(n.messages, len(req.GetItems()))
}

// response answers in the form in which the statement came.
func (n *testNotary) response(req streamed, r *notaryv1.Receipt, err error) *notaryv1.SubmitStreamResponse {
	if !req.item {
		if err != nil {
			return &notaryv1.SubmitStreamResponse{Id: req.GetId(), Result: &notaryv1.SubmitStreamResponse_Error{Error: status.Convert(err).Proto()}}
		}
		return &notaryv1.SubmitStreamResponse{Id: req.GetId(), Result: &notaryv1.SubmitStreamResponse_Receipt{Receipt: r}}
	}
	result := &notaryv1.SubmitStreamResult{Id: req.GetId(), Result: &notaryv1.SubmitStreamResult_Receipt{Receipt: r}}
	all := &notaryv1.SubmitStreamResults{Results: []*notaryv1.SubmitStreamResult{result}}
	switch held := req.GetHeldEvidence(); {
	case err != nil:
		result.Result = &notaryv1.SubmitStreamResult_Error{Error: status.Convert(err).Proto()}
	case r.GetProof() != nil && held != "" && held == r.GetEvidenceSha256() && r.GetEvidence() == "":
		all.Checkpoint = r.GetProof().GetCheckpoint()
		result.Result = &notaryv1.SubmitStreamResult_Proof{Proof: &notaryv1.SubmitStreamProof{
			LogIndex: r.GetLogIndex(), Hashes: slices.Concat(r.GetProof().GetHashes()...), PublicKey: r.GetProof().GetPublicKey(),
		}}
	}
	if n.alter != nil {
		n.alter(all)
	}
	return &notaryv1.SubmitStreamResponse{Result: &notaryv1.SubmitStreamResponse_Results{Results: all}}
}

func (n *testNotary) GetReceipt(ctx context.Context, req *notaryv1.GetReceiptRequest) (*notaryv1.GetReceiptResponse, error) {
	id, err := trial.ParseID(req.GetStatementId())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	res, err := n.service.Receipt(ctx, id)
	if err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.other != nil {
		return &notaryv1.GetReceiptResponse{Receipt: n.other}, nil
	}
	return &notaryv1.GetReceiptResponse{Receipt: toReceipt(res)}, nil
}

func (n *testNotary) GetCheckpoint(context.Context, *notaryv1.GetCheckpointRequest) (*notaryv1.GetCheckpointResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.checkpoint != nil {
		return &notaryv1.GetCheckpointResponse{Checkpoint: string(n.checkpoint)}, nil
	}
	return &notaryv1.GetCheckpointResponse{Checkpoint: string(n.service.Checkpoint().Note)}, nil
}

func (n *testNotary) GetTimeMark(ctx context.Context, req *notaryv1.GetTimeMarkRequest) (*notaryv1.GetTimeMarkResponse, error) {
	res, err := n.service.TimeMark(ctx, req.GetBelow())
	if err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	n.mu.Lock()
	swap := n.mark
	n.mu.Unlock()
	if swap != nil {
		return &notaryv1.GetTimeMarkResponse{Receipt: swap}, nil
	}
	return &notaryv1.GetTimeMarkResponse{Receipt: toReceipt(res)}, nil
}

func (n *testNotary) GetTrustMaterial(ctx context.Context, req *notaryv1.GetTrustMaterialRequest) (*notaryv1.GetTrustMaterialResponse, error) {
	id, err := n.service.Resolve(ctx, req.GetTrial())
	if err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	t, err := n.service.Trust(ctx, id)
	if err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	resp := &notaryv1.GetTrustMaterialResponse{Charter: id.String(), Fingerprint: t.Fingerprint()}
	for path, content := range t.Files() {
		resp.Files = append(resp.Files, &notaryv1.TrustFile{Path: path, Content: content})
	}
	return resp, nil
}

// unavailable is push-back with a wait.
func unavailable(after time.Duration) error {
	s, err := status.New(codes.Unavailable, "busy").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
	if err != nil {
		return err
	}
	return s.Err()
}
