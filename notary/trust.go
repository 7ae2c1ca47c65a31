package notary

import (
	"context"
	"errors"
	"fmt"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// Trust returns a trial's trust folder: the anchors, the receipts of its
// authority statements with their time marks, and the notary's signed list of
// them. It fails with ErrNotFound where there is no such trial.
func (s *Service) Trust(ctx context.Context, charter trial.ID) (*receipt.Trust, error) {
	_, now, c, settled, err := s.settledTrial(ctx, charter)
	if err != nil {
		return nil, err
	}
	// The key that signed the charter: a recovery replaces who enrols, never the
	// anchor.
	body, ok := now.auth.Charter().Predicate.Body.(*trial.CharterBody)
	if !ok {
		return nil, fmt.Errorf("%w: trial %s has no charter", ErrDamaged, charter)
	}
	trust, err := receipt.NewTrust(s.cfg.LogKey, s.cfg.Policy, s.self, body.SponsorKey, charter)
	if err != nil {
		return nil, fmt.Errorf("making the anchors: %w", err)
	}
	for _, f := range now.facts {
		if f.record.Index >= c.Size {
			continue
		}
		bundle, mark, err := f.proof.get(ctx, s, f.record)
		if err != nil {
			return nil, err
		}
		marks, err := markReceipts(ctx, s, []*markProof{mark})
		if err != nil {
			return nil, err
		}
		evidence, err := receipt.BuildEvidence(nil, marks, nil)
		if err != nil {
			return nil, err
		}
		if err := trust.AddAuthority(bundle, evidence); err != nil {
			return nil, fmt.Errorf("%w: authority statement at index %d: %w", ErrDamaged, f.record.Index, err)
		}
		addKeys(trust, f.st)
	}
	if settled {
		list, err := s.asOf(charter, now, c)
		if err != nil {
			return nil, err
		}
		trust.SetAsOf(list)
	}
	return trust, nil
}

// addKeys adds the keys that an authority statement names: stock tools take a
// key as a file. Whether it may sign is proven by the receipts beside it.
func addKeys(t *receipt.Trust, st *trial.Statement) {
	switch b := st.Predicate.Body.(type) {
	case *trial.CharterBody:
		t.AddKey(b.SponsorKey)
	case *trial.EnrolmentBody:
		t.AddKey(b.Key)
	case *trial.RecoveryBody:
		t.AddKey(b.NewKey)
	}
}

// asOf signs the list of a trial's authority statements below a checkpoint, of
// which all have taken effect here.
func (s *Service) asOf(charter trial.ID, now *snapshot, c receipt.Checkpoint) (*trial.Envelope, error) {
	var ids []trial.ID
	for _, f := range now.facts {
		if f.record.Index < c.Size {
			ids = append(ids, f.record.ID)
		}
	}
	env, err := trial.SignAsOf(s.cfg.Key, &trial.AsOf{
		Charter: charter, Origin: c.Origin, Size: c.Size, Root: c.Root, Authority: ids,
	})
	if err != nil {
		return nil, unavailable(fmt.Errorf("signing the list of authority statements: %w", err))
	}
	return env, nil
}

// settledTrial returns a trial as it stands under the newest checkpoint. settled
// is false where the service stopped before everything below it was placed.
func (s *Service) settledTrial(ctx context.Context, charter trial.ID) (
	t *trialState, now *snapshot, c receipt.Checkpoint, settled bool, err error,
) {
	c = s.log.Checkpoint()
	settled = s.placedUpTo.wait(ctx, s.stopped, c.Size)
	if ctx.Err() != nil {
		return nil, nil, c, false, context.Cause(ctx)
	}
	t, now, err = s.trials.get(ctx, charter)
	if refusal := new(trial.Refusal); errors.As(err, &refusal) {
		err = ErrNotFound
	}
	return t, now, c, settled, err
}

// Verify judges a receipt against the trial's trust folder as it is now. A bad
// receipt is a negative verdict. It fails with ErrNotReceipt or ErrNotEvidence
// where the bundle or the evidence (which may be nil) cannot be read, and with
// ErrNotFound where there is no such trial.
func (s *Service) Verify(ctx context.Context, charter trial.ID, bundle, evidence []byte, files []receipt.File) (*receipt.Verdict, error) {
	r, err := receipt.Parse(bundle)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotReceipt, err)
	}
	var ev *receipt.Evidence
	if evidence != nil {
		if ev, err = receipt.ParseEvidence(evidence); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNotEvidence, err)
		}
	}
	v, err := s.trialVerifier(ctx, charter, r.Index)
	if err != nil {
		return nil, err
	}
	return v.Verify(r, ev, files), nil
}

// trialVerifier returns a verifier whose trust folder lists the trial's
// authority as far as the log is published, or at least beyond index: many
// receipts verified in a row share what was verified once.
func (s *Service) trialVerifier(ctx context.Context, charter trial.ID, index uint64) (*receipt.Verifier, error) {
	t, now, c, _, err := s.settledTrial(ctx, charter)
	if err != nil {
		return nil, err
	}
	if v := t.verifier.Load(); v != nil && v.now == now && (v.size > index || v.size == c.Size) {
		return v.verifier, nil
	}
	trust, err := s.Trust(ctx, charter)
	if err != nil {
		return nil, err
	}
	v := &trialVerifier{now: now, size: c.Size, verifier: receipt.NewVerifier(trust)}
	t.verifier.Store(v)
	return v.verifier, nil
}

// trialVerifier is a verifier with what its trust folder was made of: at least
// this snapshot, listed up to this size.
type trialVerifier struct {
	now      *snapshot
	size     uint64
	verifier *receipt.Verifier
}
