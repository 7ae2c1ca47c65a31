package notary

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// act is one statement on its way into the log. One goroutine owns it at a
// time: the one that admits it, then the committer, the awaiter and the placer.
// Callers that wait for it read record, key, repeated and err only after done is
// closed.
type act struct {
	id     trial.ID
	record *Record
	st     *trial.Statement
	key    *trial.PublicKey
	entry  []byte
	// stored tells that the record was read from the store.
	stored bool
	// trial is set, pinned and locked from admission to the end for a
	// statement that changes its trial's authority.
	trial *trialState
	// enrols is the key that the act claimed to enrol, or nil.
	enrols *trial.KeyID
	// room is what was claimed of the disk's free bytes.
	room uint64
	// begun is when the act began, admitted when it was queued.
	begun, admitted time.Time
	// traced is the context of the caller who began it, if that is traced.
	traced context.Context

	done     chan struct{}
	repeated bool
	err      error
}

// Submit logs one signed statement and returns its receipt, proven under a
// published checkpoint and verified. The same statement, also with another
// valid signature and also when its key was revoked since, always gets the
// first envelope's receipt; any number of callers may send it at once.
//
// A caller whose context ends does not end the act: the error is the context's,
// and the same bytes sent again bring the receipt.
//
// It fails with a *trial.Refusal, with the error of allow as it is, with
// ErrOverloaded (nothing was stored), or with ErrUnavailable (the statement may
// be stored: send the same bytes again), which may wrap ErrStoreFull.
func (s *Service) Submit(ctx context.Context, env *trial.Envelope, allow Allow) (*Result, error) {
	return s.SubmitForm(ctx, env, allow, WholeReceipt)
}

// SubmitForm is Submit for a caller who may want less than the whole receipt.
func (s *Service) SubmitForm(ctx context.Context, env *trial.Envelope, allow Allow, form Form) (*Result, error) {
	res, repeated, err := s.submit(ctx, env, allow, form)
	s.observeOutcome(ctx, repeated, err)
	return res, err
}

func (s *Service) submit(ctx context.Context, env *trial.Envelope, allow Allow, form Form) (*Result, bool, error) {
	if err := s.callers.enter(places(env.Payload)); err != nil {
		return nil, false, err
	}
	defer s.callers.leave(places(env.Payload))
	began := time.Now()
	st, err := trial.ParseStatement(env.Payload)
	if err != nil {
		return nil, false, err
	}
	began = s.observe(ctx, StageParse, began)
	if allow != nil {
		if err := allow(st); err != nil {
			return nil, false, err
		}
	}
	key, err := s.signer(ctx, env, st)
	if err != nil {
		return nil, false, err
	}
	began = s.observe(ctx, StageVerify, began)
	a, err := s.join(ctx, env, st, key, began)
	if err != nil {
		return nil, false, err
	}
	select {
	case <-a.done:
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	if a.err != nil {
		return nil, false, a.err
	}
	res, err := s.answer(ctx, a.record, a.key, form.of(env, a.record))
	return res, a.repeated, err
}

// signer finds the key that the statement names, as far as the trial has ever
// known it, and verifies the signature under it. Whether the key may sign now is
// judged later and only for an act that is new, so that an act sent again
// outlives its key's revocation.
func (s *Service) signer(ctx context.Context, env *trial.Envelope, st *trial.Statement) (*trial.PublicKey, error) {
	key, err := s.findKey(ctx, st)
	if err != nil {
		return nil, err
	}
	if err := s.signatures.verify(env, st, key); err != nil {
		return nil, err
	}
	return key, nil
}

func (s *Service) findKey(ctx context.Context, st *trial.Statement) (*trial.PublicKey, error) {
	p := &st.Predicate
	var auth *trial.Authority
	switch p.Kind {
	case trial.KindTimeMark:
		return nil, &trial.Refusal{Reason: trial.ReasonKindNotAllowed, Path: "predicate.kind",
			Detail: "only the notary itself logs time marks"}
	case trial.KindCharter:
		var err error
		if auth, err = trial.NewAuthority(st, 0); err != nil {
			return nil, err
		}
	default:
		var err error
		if auth, err = s.trials.authority(ctx, p.Charter); err != nil {
			return nil, err
		}
	}
	key, ok := auth.Key(p.Signer.KeyID)
	if !ok {
		return nil, &trial.Refusal{Reason: trial.ReasonUnknownKey, Path: "predicate.signer.keyId",
			Detail: fmt.Sprintf("unknown key %s in this trial", p.Signer.KeyID)}
	}
	return key, nil
}

// join returns the act of this id that is in flight, or starts it. Everybody in
// the table has shown a valid signature, so nobody's bad one can refuse
// another's act.
func (s *Service) join(ctx context.Context, env *trial.Envelope, st *trial.Statement, key *trial.PublicKey, now time.Time) (*act, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.inFlight[st.ID]; ok {
		return a, nil
	}
	if err := s.acts.enter(places(st.Payload)); err != nil {
		return nil, err
	}
	a := &act{id: st.ID, st: st, key: key, begun: now, done: make(chan struct{})}
	if s.cfg.Observer != nil && s.cfg.Observer.Traced(ctx) {
		a.traced = ctx
	}
	s.inFlight[st.ID] = a
	// In a goroutine of its own, because the act outlives its first caller.
	go s.carry(a, env)
	return a, nil
}

// carry brings an act to the committer, or ends it. It does not look first
// whether the statement is stored: the store tells when it is to keep it, and
// nearly every statement is new.
func (s *Service) carry(a *act, env *trial.Envelope) {
	err := s.begin(a, env)
	if err != nil {
		s.settle(a, err)
		return
	}
	s.enqueue(a)
}

func (s *Service) enqueue(a *act) {
	a.admitted = s.observe(a.context(), StageAdmit, a.begun)
	s.queue <- a
}

// settle ends an act that was refused or could not be stored, or whose statement
// is held already, for which failed is nil. What is in the log has its receipt
// whatever became of this try.
func (s *Service) settle(a *act, failed error) {
	refused := errors.As(failed, new(*trial.Refusal))
	rec, err := s.store.Get(s.ctx, a.id)
	switch {
	case err == nil && rec.Logged:
		a.record, a.repeated = rec, true
	case err == nil && (failed == nil || refused):
		// Stored, not logged and not in flight: a Put reported an error and
		// stored it all the same, or the log had no room. Its entry was never
		// added, or the service would have stopped; so it goes on from here. It
		// was admitted when it was stored, whatever is thought of it now.
		if err = s.resume(a, rec); err == nil {
			s.enqueue(a)
			return
		}
	case failed == nil || refused && !errors.Is(err, ErrNotFound):
		err = unavailable(fmt.Errorf("looking a statement up: %w", err))
	default:
		err = failed
	}
	s.finish(a, err)
}

func (s *Service) settleAll(acts []*act, failed error) {
	for _, a := range acts {
		s.settle(a, failed)
	}
}

// context returns the context of the caller who began the act, if that is traced.
func (a *act) context() context.Context {
	if a.traced != nil {
		return a.traced
	}
	return context.Background()
}

// begin admits a new statement and makes its record.
func (s *Service) begin(a *act, env *trial.Envelope) error {
	if err := s.Err(); err != nil {
		return unavailable(err)
	}
	authority, err := s.admit(a)
	if err != nil {
		return err
	}
	if a.room, err = s.room.claim(len(env.Payload)); err != nil {
		return unavailable(err)
	}
	a.record, a.entry = newRecord(env, a.st, a.key, authority)
	return nil
}

// resume takes up a statement that is stored and not logged. It is not judged
// again.
func (s *Service) resume(a *act, rec *Record) error {
	if err := s.Err(); err != nil {
		return unavailable(err)
	}
	key, err := trial.ParsePublicKeyDER(rec.SignerDER)
	if err != nil {
		return fmt.Errorf("%w: statement %s: %w", ErrDamaged, rec.ID, err)
	}
	if locks := rec.Authority && rec.Kind != trial.KindCharter; locks && a.trial == nil {
		if a.trial, err = s.trials.lock(s.ctx, rec.Charter); err != nil {
			return err
		}
	}
	a.record, a.key, a.entry, a.stored = rec, key, receipt.Entry(&rec.Envelope, key), true
	return nil
}

// finish ends an act, with err or without, and wakes everybody who waits.
func (s *Service) finish(a *act, err error) {
	a.err = err
	if a.trial != nil {
		s.trials.unlock(a.trial)
		a.trial = nil
	}
	s.room.release(a.room)
	s.mu.Lock()
	delete(s.inFlight, a.id)
	s.releaseKey(a)
	s.mu.Unlock()
	s.acts.leave(places(a.st.Payload)) // first: who is answered may send the next one
	close(a.done)
}

// newRecord makes what the store keeps of a statement, and its log entry.
func newRecord(env *trial.Envelope, st *trial.Statement, key *trial.PublicKey, authority bool) (*Record, []byte) {
	p := &st.Predicate
	entry := receipt.Entry(env, key)
	rec := &Record{
		ID:         st.ID,
		Envelope:   *env,
		SignerDER:  key.DER,
		LeafHash:   receipt.LeafHash(entry),
		Charter:    p.Charter,
		Site:       p.Site,
		Kind:       p.Kind,
		Version:    p.Version,
		Supersedes: p.Supersedes,
		KeyID:      key.ID,
		Subjects:   st.Subjects,
		Registry:   registryNumbers(st),
		Authority:  authority,
	}
	if p.Kind == trial.KindCharter {
		rec.Charter = st.ID
	}
	return rec, entry
}
