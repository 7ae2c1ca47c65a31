package notary

import (
	"context"
	"errors"
	"fmt"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// Statement returns a logged statement, or ErrNotFound.
func (s *Service) Statement(ctx context.Context, id trial.ID) (*Record, error) {
	rec, err := s.store.Get(ctx, id)
	switch {
	case err != nil:
		return nil, readError(ctx, err)
	case !rec.Logged:
		return nil, ErrNotFound
	}
	return rec, nil
}

// Receipt returns the receipt of a logged statement, proven under the newest
// checkpoint, or ErrNotFound. It is the first receipt: envelope and index are
// the same, the proof may be newer.
func (s *Service) Receipt(ctx context.Context, id trial.ID) (*Result, error) {
	rec, err := s.Statement(ctx, id)
	if err != nil {
		return nil, err
	}
	key, err := trial.ParsePublicKeyDER(rec.SignerDER)
	if err != nil {
		return nil, fmt.Errorf("%w: stored statement %s: %w", ErrDamaged, id, err)
	}
	return s.answer(ctx, rec, key)
}

// TimeMark returns the receipt of the last time mark below an index, or
// ErrNotFound. Marks above the newest checkpoint are not there yet; below 0 is its
// size.
func (s *Service) TimeMark(ctx context.Context, below uint64) (*Result, error) {
	size := s.Checkpoint().Size
	if below == 0 || below > size {
		below = size
	}
	mark, err := s.markProofs.before(ctx, below)
	switch {
	case err != nil:
		return nil, readError(ctx, err)
	case mark.record == nil:
		return nil, ErrNotFound
	}
	return s.answer(ctx, mark.record, s.marks.self)
}

// List returns logged statements in log order.
func (s *Service) List(ctx context.Context, q Query) ([]*Record, error) {
	records, err := s.store.List(ctx, q)
	return records, readError(ctx, err)
}

// FindSubject returns the logged statements about a file, in log order;
// q.Digest is required.
func (s *Service) FindSubject(ctx context.Context, q Query) ([]*Record, error) {
	if q.Digest == "" {
		return nil, errors.New("invalid query: digest is empty")
	}
	return s.List(ctx, q)
}

// Checkpoint returns the newest published checkpoint.
func (s *Service) Checkpoint() receipt.Checkpoint { return s.log.Checkpoint() }

// Resolve returns the trial that a charter's id or a registry number names. It
// fails with ErrNotFound, or with a *trial.Refusal AMBIGUOUS_TRIAL where more
// than one charter claims the number: then it names neither.
func (s *Service) Resolve(ctx context.Context, name string) (trial.ID, error) {
	if id, err := trial.ParseID(name); err == nil {
		_, _, err := s.trials.get(ctx, id)
		if refusal := new(trial.Refusal); errors.As(err, &refusal) {
			return trial.ID{}, ErrNotFound
		}
		return id, err
	}
	ids, err := s.store.Trials(ctx, trial.NormaliseRegistryNumber(name))
	if err != nil {
		return trial.ID{}, readError(ctx, err)
	}
	switch len(ids) {
	case 0:
		return trial.ID{}, ErrNotFound
	case 1:
		return ids[0], nil
	}
	return trial.ID{}, &trial.Refusal{Reason: trial.ReasonAmbiguousTrial, Path: "trial",
		Detail: fmt.Sprintf("%d trials claim this registry number: name the trial by its charter's id", len(ids))}
}

// readError leaves what callers tell apart and calls everything else
// unavailable.
func readError(ctx context.Context, err error) error {
	switch {
	case err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrDamaged) || errors.As(err, new(*UnreadableError)):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return unavailable(err)
}
