package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync/atomic"

	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// ErrReceipt means that the notary answered with a receipt that does not hold.
// The statement is not reported as notarized.
var ErrReceipt = errors.New("the receipt does not hold")

// Receipt is a statement's receipt as it was checked.
type Receipt struct {
	StatementID trial.ID
	// Index is the statement's place in the log, from 0.
	Index uint64
	// Bundle is NAME.receipt.json and Evidence is NAME.evidence.json, byte for
	// byte.
	Bundle, Evidence []byte
	// Verdict is what the offline check found. It is verified, or lacks nothing
	// but the witnesses that the trial's policy demands.
	Verdict *receipt.Verdict
	// Continuity says what was checked about the log.
	Continuity Continuity
}

// Complete tells whether the receipt verifies as it is. If not, witnesses have
// still to sign: fetch the receipt again later.
func (r *Receipt) Complete() bool { return r.Verdict.Verified }

// Submit stores a signed statement durably, sends it until there is an answer,
// and checks the receipt offline against the trial's trust folder before it
// returns it.
//
// Errors: Refused; ErrUnanswered and ErrNotSignedIn, after which the statement
// stays in the state folder (State.Pending); ErrReceipt, ErrRolledBack and
// ErrForked, after which nobody should rely on this notary.
func (c *Client) Submit(ctx context.Context, trust *receipt.Trust, env *trial.Envelope) (*Receipt, error) {
	var answer *Receipt
	var refusal error
	err := c.SubmitMany(ctx, trust, []Item{{Envelope: env}}, func(_ Item, r *Receipt, err error) error {
		answer, refusal = r, err
		return nil
	})
	if refusal != nil {
		return nil, refusal
	}
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// Receipt fetches the receipt of a logged statement under the notary's newest
// checkpoint and checks it like Submit.
func (c *Client) Receipt(ctx context.Context, trust *receipt.Trust, id trial.ID) (*Receipt, error) {
	return c.newChecker(trust).receipt(ctx, id)
}

// Receipts fetches the receipts of one trial's statements for whoever follows its
// whole log: a statement whose key had no authority at its index is logged too,
// without effect. The verdict on it is negative, and everything else of its receipt
// holds. It remembers what it verified, and is safe for concurrent use.
type Receipts struct{ k *checker }

// Receipts returns what fetches the receipts of the trust folder's trial.
func (c *Client) Receipts(trust *receipt.Trust) *Receipts {
	k := c.newChecker(trust)
	k.logged = true
	return &Receipts{k}
}

// Get is Client.Receipt, but for what is said of Receipts.
func (r *Receipts) Get(ctx context.Context, id trial.ID) (*Receipt, error) {
	return r.k.receipt(ctx, id)
}

func (k *checker) receipt(ctx context.Context, id trial.ID) (*Receipt, error) {
	c := k.c
	floor, err := k.floor()
	if err != nil {
		return nil, err
	}
	var resp *notaryv1.GetReceiptResponse
	err = c.retry(ctx, func(ctx context.Context) (err error) {
		resp, err = c.api.GetReceipt(ctx, &notaryv1.GetReceiptRequest{StatementId: id.String()})
		return err
	})
	if err != nil {
		return nil, err
	}
	q := question{id: id, floor: floor}
	if k.logged {
		q.accept = acceptableAsLogged
	}
	return k.check(ctx, q, resp.GetReceipt())
}

// Checkpoint returns the notary's newest checkpoint, verified under the trust
// folder's log keys and compared with the largest one seen.
func (c *Client) Checkpoint(ctx context.Context, trust *receipt.Trust) (receipt.Checkpoint, Continuity, error) {
	cp, err := c.newest(ctx, trust)
	if err != nil {
		return receipt.Checkpoint{}, "", err
	}
	// It is the newest one by its own word: nothing can have overtaken it.
	how, err := c.observe(ctx, cp, math.MaxUint64, func(context.Context) (receipt.Checkpoint, error) { return cp, nil })
	return cp, how, err
}

func (c *Client) newest(ctx context.Context, trust *receipt.Trust) (receipt.Checkpoint, error) {
	var resp *notaryv1.GetCheckpointResponse
	err := c.retry(ctx, func(ctx context.Context) (err error) {
		resp, err = c.api.GetCheckpoint(ctx, &notaryv1.GetCheckpointRequest{})
		return err
	})
	if err != nil {
		return receipt.Checkpoint{}, err
	}
	cp, err := receipt.OpenCheckpoint([]byte(resp.GetCheckpoint()), trust.LogKeys...)
	if err != nil {
		return receipt.Checkpoint{}, fmt.Errorf("the notary's checkpoint: %w", err)
	}
	return cp, nil
}

// checker checks the receipts of one trial.
type checker struct {
	c        *Client
	trust    *receipt.Trust
	verifier *receipt.Verifier
	evidence heldEvidence
	signer   atomic.Pointer[trial.PublicKey] // the last one: a batch rarely has more
	// logged takes the receipt of a statement that has no authority too.
	logged bool
}

func (c *Client) newChecker(trust *receipt.Trust) *checker {
	return &checker{c: c, trust: trust, verifier: receipt.NewVerifier(trust)}
}

// floor is to be taken before a request is sent; see watermark.floor.
func (k *checker) floor() (uint64, error) { return k.c.seen.floor(k.trust.Origin()) }

// question is what an answer must fit.
type question struct {
	id trial.ID
	// envelope is what was sent, nil where a stored receipt was asked for.
	envelope *trial.Envelope
	// floor is the largest size seen before.
	floor uint64
	// held is the evidence that the request named, or nil.
	held *evidenceFile
	// accept tells which verdicts will do; nil is [Acceptable].
	accept func(*receipt.Verdict) error
}

// check accepts a receipt, or says why not.
func (k *checker) check(ctx context.Context, q question, pb *notaryv1.Receipt) (*Receipt, error) {
	id := q.id
	r, err := k.read(q.envelope, pb)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	// The signature may be another valid one of the same statement: the payload
	// is what counts.
	if got := statementID(r.Envelope); got != id || pb.GetStatementId() != id.String() {
		return nil, fmt.Errorf("%w: got one for statement %s, want %s", ErrReceipt, got, id)
	}
	if pb.GetLogIndex() != r.Index {
		return nil, fmt.Errorf("%w: got index %d beside it, want %d", ErrReceipt, pb.GetLogIndex(), r.Index)
	}
	evidence, err := k.evidence.of(pb, q.held)
	if err != nil {
		return nil, err
	}
	if evidence == nil {
		evidence = &evidenceFile{}
	}
	verdict := k.verifier.Verify(r, evidence.parsed, nil)
	accept := q.accept
	if accept == nil {
		accept = Acceptable
	}
	if err := accept(verdict); err != nil {
		return nil, err
	}
	how, err := k.c.observe(ctx, r.Checkpoint, q.floor, func(ctx context.Context) (receipt.Checkpoint, error) {
		return k.c.newest(ctx, k.trust)
	})
	if err != nil {
		return nil, err
	}
	return &Receipt{
		StatementID: id, Index: r.Index, Verdict: verdict, Continuity: how,
		Bundle: r.Bytes(), Evidence: evidence.text,
	}, nil
}

// read returns the receipt of an answer: as it came, or put together out of what
// was sent and the proof.
func (k *checker) read(sent *trial.Envelope, pb *notaryv1.Receipt) (*receipt.Receipt, error) {
	p := pb.GetProof()
	switch {
	case p == nil:
		return receipt.Parse([]byte(pb.GetBundle()))
	case pb.GetBundle() != "":
		return nil, errors.New("invalid answer: got a proof and a whole receipt, want one of them")
	case sent == nil:
		return nil, errors.New("invalid answer: got a proof, want the whole receipt")
	}
	key, err := k.key(p.GetPublicKey())
	if err != nil {
		return nil, err
	}
	if sent.KeyID != "" && sent.KeyID != key.ID.String() {
		return nil, fmt.Errorf("invalid answer: got the key %s, want the signer's, %s", key.ID, sent.KeyID)
	}
	// A new one, because it computes its digest once.
	env := trial.NewEnvelope(sent.Payload, sent.KeyID, sent.Sig)
	return k.verifier.Assemble(env, key, receipt.Proof{
		Index: pb.GetLogIndex(), Hashes: p.GetHashes(), Checkpoint: p.GetCheckpoint(),
	})
}

// key parses a signer's key, or remembers that it did.
func (k *checker) key(der []byte) (*trial.PublicKey, error) {
	if key := k.signer.Load(); key != nil && bytes.Equal(key.DER, der) {
		return key, nil
	}
	key, err := trial.ParsePublicKeyDER(der)
	if err != nil {
		return nil, fmt.Errorf("invalid answer: reading the signer's key: %w", err)
	}
	k.signer.Store(key)
	return key, nil
}

// Acceptable lets a receipt pass that lacks only witnesses: issuing is open,
// verifying is closed.
func Acceptable(v *receipt.Verdict) error {
	return acceptable(v, func(name receipt.CheckName) bool { return name == receipt.CheckWitnessPolicy })
}

// acceptableAsLogged lets a receipt pass, too, whose signer had no authority.
func acceptableAsLogged(v *receipt.Verdict) error {
	return acceptable(v, func(name receipt.CheckName) bool {
		switch name {
		case receipt.CheckWitnessPolicy, receipt.CheckKeyEnrolled, receipt.CheckKeyNotRevoked, receipt.CheckValidityPeriod:
			return true
		default:
			return false
		}
	})
}

// acceptable lets a receipt pass that fails none but those checks.
func acceptable(v *receipt.Verdict, may func(receipt.CheckName) bool) error {
	if v.Verified {
		return nil
	}
	failed := 0
	for _, c := range v.Checks {
		if c.Outcome != receipt.Failed {
			continue
		}
		if !may(c.Name) {
			return fmt.Errorf("%w: %s: %s", ErrReceipt, c.Name, c.Detail)
		}
		failed++
	}
	if failed == 0 {
		return fmt.Errorf("%w: %s", ErrReceipt, v.Summary)
	}
	return nil
}

// statementID is the SHA-256 of the payload.
func statementID(e *trial.Envelope) trial.ID { return sha256.Sum256(e.Payload) }

func toProto(e *trial.Envelope) *notaryv1.Envelope {
	return &notaryv1.Envelope{
		Payload: e.Payload, PayloadType: e.PayloadType,
		Signatures: []*notaryv1.Signature{{Sig: e.Sig, Keyid: e.KeyID}},
	}
}

// Names of the files beside what was notarized.
const (
	ReceiptSuffix  = ".receipt.json"
	EvidenceSuffix = ".evidence.json"
	ManifestSuffix = ".manifest.json"
)

// WriteFiles writes NAME.receipt.json and NAME.evidence.json durably, where
// name may hold a folder. Files that hold an older proof of the same statement
// are replaced; a receipt of another statement is not: it fails with
// fs.ErrExist.
func (r *Receipt) WriteFiles(name string) error {
	path := name + ReceiptSuffix
	// The receipt first, and never in place of another: of two processes that
	// submit one file at the same time the second is told.
	err := WriteNew(path, r.Bundle, 0o644)
	if errors.Is(err, os.ErrExist) {
		if err = mayReplace(path, r.StatementID); err == nil {
			err = WriteFile(path, r.Bundle, 0o644)
		}
	}
	if err != nil || len(r.Evidence) == 0 {
		return err
	}
	return WriteFile(name+EvidenceSuffix, r.Evidence, 0o644)
}

func mayReplace(path string, id trial.ID) error {
	old, err := readLimited(path, maxReceiptFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	parsed, err := receipt.Parse(old)
	if err != nil || statementID(parsed.Envelope) != id {
		return fmt.Errorf("writing %s: %w and is not this statement's receipt; move it away", path, os.ErrExist)
	}
	return nil
}

// Limits of files that are read whole, in bytes.
const (
	maxReceiptFile  = 4 << 20
	maxEvidenceFile = 64 << 20
	maxTrustFile    = 64 << 20
)

// readLimited reads a file of at most limit bytes.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var buf bytes.Buffer
	if info, err := f.Stat(); err == nil && info.Size() <= limit {
		buf.Grow(int(info.Size()) + bytes.MinRead) // what is read at last is nothing
	}
	n, err := io.Copy(&buf, io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if n > limit {
		return nil, fmt.Errorf("invalid size of %s: got more than %d bytes, want at most that", path, limit)
	}
	return buf.Bytes(), nil
}

// ReadReceipt reads NAME.receipt.json and, if it is there, the
// NAME.evidence.json beside it. It verifies nothing.
func ReadReceipt(path string) (*receipt.Receipt, *receipt.Evidence, error) {
	return readReceipt(path, receipt.ParseEvidence)
}

// ReadReceiptFor is ReadReceipt for many receipts that are verified by v: an
// evidence file that is like an earlier one is not parsed again.
func ReadReceiptFor(v *receipt.Verifier, path string) (*receipt.Receipt, *receipt.Evidence, error) {
	return readReceipt(path, v.Evidence)
}

func readReceipt(path string, parseEvidence func([]byte) (*receipt.Evidence, error)) (*receipt.Receipt, *receipt.Evidence, error) {
	text, err := readLimited(path, maxReceiptFile)
	if err != nil {
		return nil, nil, err
	}
	r, err := receipt.Parse(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	name, ok := strings.CutSuffix(path, ReceiptSuffix)
	if !ok {
		return r, nil, nil
	}
	text, err = readLimited(name+EvidenceSuffix, maxEvidenceFile)
	if errors.Is(err, os.ErrNotExist) {
		return r, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	ev, err := parseEvidence(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name+EvidenceSuffix, err)
	}
	return r, ev, nil
}
