package notary

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// proof is the receipt of a statement that stands in many evidence files. It is
// made once: any published checkpoint that covers it will do.
type proof struct {
	mu     sync.Mutex
	bundle []byte
	mark   *markProof // the governing time mark
}

// of is the form for the sender of env. Who sent another envelope than the one
// that was logged, with another valid signature over the same payload, would make
// a wrong receipt of a proof alone.
func (f Form) of(env *trial.Envelope, rec *Record) Form {
	held := &rec.Envelope
	if f == ProofOnly && env.PayloadType == held.PayloadType && env.KeyID == held.KeyID &&
		bytes.Equal(env.Sig, held.Sig) && bytes.Equal(env.Payload, held.Payload) {
		return ProofOnly
	}
	return WholeReceipt
}

// answer builds, checks and returns the receipt of a logged statement, for a
// caller that waits. What was just logged is answered by answerAll.
func (s *Service) answer(ctx context.Context, rec *Record, key *trial.PublicKey) (*Result, error) {
	bundle, err := s.prove(ctx, rec, key)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	evidence, err := s.evidence(ctx, rec)
	if err != nil {
		return nil, err
	}
	s.observe(ctx, StageEvidence, began)
	return &Result{Record: rec, Bundle: bundle, Evidence: evidence.text, EvidenceSHA256: evidence.sha256}, nil
}

var errOtherKey = errors.New("the store holds another key for it than the one that was checked")

// checked checks what a receipt would say of a logged statement beside its
// envelope: none is handed out that does not verify.
func (s *Service) checked(ctx context.Context, rec *Record, key *trial.PublicKey, inc receipt.Inclusion, began time.Time) (*receipt.Inclusion, error) {
	began = s.observe(ctx, StageProve, began)
	err := errOtherKey
	if bytes.Equal(rec.SignerDER, key.DER) { // it goes with the proof
		err = s.verifier.CheckInclusion(&rec.Envelope, key, inc)
	}
	s.observe(ctx, StageSelfCheck, began)
	if err != nil {
		return nil, s.badReceipt(rec, err)
	}
	return &inc, nil
}

// prove waits until a checkpoint covers a logged statement, and makes and checks
// its receipt.
func (s *Service) prove(ctx context.Context, rec *Record, key *trial.PublicKey) ([]byte, error) {
	began := time.Now()
	if err := s.log.Await(ctx, rec.Index); err != nil {
		return nil, s.unproven(ctx, rec, err)
	}
	began = s.observe(ctx, StagePublish, began)
	inc, err := s.log.Prove(ctx, rec.Index)
	if err != nil {
		return nil, s.unproven(ctx, rec, err)
	}
	return s.build(ctx, rec, key, inc, began)
}

// unproven says why there is no proof.
func (s *Service) unproven(ctx context.Context, rec *Record, err error) error {
	switch {
	case s.ctx.Err() != nil:
		return unavailable(errClosing)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	if errors.Is(err, ErrLogStopped) {
		s.halt(err) // the log stopped by itself
	}
	return unavailable(fmt.Errorf("proving entry %d: %w", rec.Index, err))
}

// build makes a receipt and verifies it: none is handed out that does not.
func (s *Service) build(ctx context.Context, rec *Record, key *trial.PublicKey, inc receipt.Inclusion, began time.Time) ([]byte, error) {
	entry := receipt.Entry(&rec.Envelope, key)
	bundle, err := receipt.Build(&rec.Envelope, key, inc, entry, s.cfg.LogKey)
	if err == nil {
		began = s.observe(ctx, StageProve, began)
		err = s.verifier.SelfCheck(bundle, &rec.Envelope, key)
		s.observe(ctx, StageSelfCheck, began)
	}
	if err != nil {
		return nil, s.badReceipt(rec, err)
	}
	return bundle, nil
}

// badReceipt counts a receipt that is held back.
func (s *Service) badReceipt(rec *Record, err error) error {
	s.badReceipts.Add(1)
	return fmt.Errorf("%w: the receipt of statement %s at index %d does not verify: %w",
		ErrDamaged, rec.ID, rec.Index, err)
}

// receiptOf returns the receipt of a stored statement under any checkpoint.
func (s *Service) receiptOf(ctx context.Context, rec *Record) ([]byte, error) {
	key, err := trial.ParsePublicKeyDER(rec.SignerDER)
	if err != nil {
		return nil, fmt.Errorf("%w: stored statement %s: %w", ErrDamaged, rec.ID, err)
	}
	return s.prove(ctx, rec, key)
}

// get returns the receipt of the proof's statement and the mark that governs it.
func (p *proof) get(ctx context.Context, s *Service, rec *Record) ([]byte, *markProof, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bundle == nil {
		bundle, err := s.receiptOf(ctx, rec)
		if err != nil {
			return nil, nil, err
		}
		p.bundle = bundle
	}
	if p.mark == nil {
		mark, err := s.markProofs.before(ctx, rec.Index)
		if err != nil {
			return nil, nil, err
		}
		p.mark = mark
	}
	return p.bundle, p.mark, nil
}
