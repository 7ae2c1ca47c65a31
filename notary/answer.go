package notary

import (
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

// answer builds, checks and returns the receipt of a logged statement.
func (s *Service) answer(ctx context.Context, rec *Record, key *trial.PublicKey) (*Result, error) {
	began := time.Now()
	inc, err := s.inclusion(ctx, rec)
	if err != nil {
		return nil, err
	}
	s.observe(StageProve, began)
	began = time.Now()
	bundle, err := s.build(rec, key, inc)
	if err != nil {
		return nil, err
	}
	evidence, err := s.evidence(ctx, rec)
	if err != nil {
		return nil, err
	}
	s.observe(StageBuild, began)
	return &Result{Record: rec, Bundle: bundle, Evidence: evidence}, nil
}

func (s *Service) inclusion(ctx context.Context, rec *Record) (receipt.Inclusion, error) {
	inc, err := s.log.Prove(ctx, rec.Index)
	if err == nil {
		return inc, nil
	}
	if ctx.Err() != nil {
		return receipt.Inclusion{}, context.Cause(ctx)
	}
	if errors.Is(err, ErrLogStopped) {
		s.halt(err) // the log stopped by itself
	}
	return receipt.Inclusion{}, unavailable(fmt.Errorf("proving entry %d: %w", rec.Index, err))
}

// build makes a receipt and verifies it: none is handed out that does not.
func (s *Service) build(rec *Record, key *trial.PublicKey, inc receipt.Inclusion) ([]byte, error) {
	entry := receipt.Entry(&rec.Envelope, key)
	bundle, err := receipt.Build(&rec.Envelope, key, inc, entry, s.cfg.LogKey)
	if err == nil {
		err = s.verifier.SelfCheck(bundle, &rec.Envelope, key)
	}
	if err != nil {
		s.badReceipts.Add(1)
		return nil, fmt.Errorf("%w: the receipt of statement %s at index %d does not verify: %w",
			ErrDamaged, rec.ID, rec.Index, err)
	}
	return bundle, nil
}

// receiptOf returns the receipt of a stored statement under any checkpoint.
func (s *Service) receiptOf(ctx context.Context, rec *Record) ([]byte, error) {
	key, err := trial.ParsePublicKeyDER(rec.SignerDER)
	if err != nil {
		return nil, fmt.Errorf("%w: stored statement %s: %w", ErrDamaged, rec.ID, err)
	}
	inc, err := s.inclusion(ctx, rec)
	if err != nil {
		return nil, err
	}
	return s.build(rec, key, inc)
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
