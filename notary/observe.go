package notary

import (
	"context"
	"errors"
	"time"
)

// observe tells the Observer of a stage that ends now, and returns now: the next
// stage's beginning.
func (s *Service) observe(ctx context.Context, stage Stage, began time.Time) time.Time {
	if s.cfg.Observer == nil {
		return began
	}
	now := time.Now()
	s.cfg.Observer.Stage(ctx, stage, began, now.Sub(began))
	return now
}

// observeBatch tells the Observer of a stage of a whole batch that ends now.
func (s *Service) observeBatch(acts []*act, stage Stage, began time.Time) {
	if s.cfg.Observer == nil {
		return
	}
	took := time.Since(began)
	var traced []context.Context
	for _, a := range acts {
		if a.traced != nil {
			traced = append(traced, a.traced)
		}
	}
	s.cfg.Observer.Batch(traced, stage, began, took)
}

// observeOutcome classifies how a submission ended. An error that is none of
// the service's own is a refusal by the transport's authorisation.
func (s *Service) observeOutcome(ctx context.Context, repeated bool, err error) {
	if s.cfg.Observer == nil {
		return
	}
	outcome := OutcomeRefused
	switch {
	case err == nil && repeated:
		outcome = OutcomeRepeated
	case err == nil:
		outcome = OutcomeLogged
	case errors.Is(err, ErrOverloaded):
		outcome = OutcomeOverloaded
	case errors.Is(err, ErrUnavailable) || errors.Is(err, ErrDamaged):
		outcome = OutcomeUnavailable
	case ctx.Err() != nil:
		outcome = OutcomeCancelled
	}
	s.cfg.Observer.Outcome(outcome)
}

// Gauges are the service's quantities at one moment.
type Gauges struct {
	// Entries is the number of entries in the log, Published of those that the
	// newest checkpoint covers, Placed of those from the start on whose
	// statements the store knows the index of.
	Entries, Published, Placed uint64
	// InFlight is the number of statements between admission and index, Queued of
	// those that wait to be stored, Awaiting of those that wait for their index.
	InFlight, Queued, Awaiting int
	// Callers is the number of submissions that wait for their answer.
	Callers int
	// LastMark is the time of the newest time mark; zero before the first.
	LastMark time.Time
	// BadReceipts is the number of receipts that did not verify and were held
	// back.
	BadReceipts uint64
	// Views is the number of folded trials that are held, ViewBytes about how much
	// memory they take, Refolds the number of folds that began with a charter,
	// Folded that of the statements that were folded, and FoldTime how long that
	// took.
	Views     int
	ViewBytes int64
	Refolds   uint64
	Folded    uint64
	FoldTime  time.Duration
}

// Gauges reads them. It waits for nothing.
func (s *Service) Gauges() Gauges {
	views, bytes := s.views.held()
	return Gauges{
		Entries: s.log.Size(), Published: s.log.Checkpoint().Size, Placed: s.placedUpTo.known(),
		InFlight: s.acts.count(), Queued: len(s.queue), Awaiting: int(s.added.Load()), Callers: s.callers.count(),
		LastMark: s.marks.logged(), BadReceipts: s.badReceipts.Load(),
		Views: views, ViewBytes: bytes, Refolds: s.refolds.Load(), Folded: s.folded.Load(), FoldTime: time.Duration(s.foldTime.Load()),
	}
}
