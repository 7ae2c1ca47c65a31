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
// time: the one that admits it, then the committer, the awaiter and the placer. It
// outlives the submissions that wait for it, which read record, key and repeated
// after it ended.
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

	repeated bool
	err      error
	// waiting are the submissions that wait for it.
	waiting line
	// done, unless it is nil, is closed at the end, with err set.
	done chan struct{}
}

// signer finds the key that the statement names, as far as the trial has ever
// known it, and verifies the signature under it. Whether the key may sign now is
// judged later and only for an act that is new, so that an act sent again
// outlives its key's revocation.
func (s *Service) signer(w *submission, st *trial.Statement) (key *trial.PublicKey, err error) {
	defer recovered(&err)
	if key, err = s.findKey(s.ctx, st); err != nil {
		return nil, err
	}
	if err := s.signatures.verify(w.Envelope, st, key); err != nil {
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

// join makes a submission wait for the act of its id. It returns the act if that
// is new: whoever called carries it on. Everybody in the table has shown a valid
// signature, so nobody's bad one can refuse another's act.
func (s *Service) join(w *submission, st *trial.Statement, key *trial.PublicKey) (begun *act, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.inFlight[st.ID]
	if !ok {
		if err := s.acts.enter(places(st.Payload)); err != nil {
			return nil, err
		}
		a = &act{id: st.ID, st: st, key: key, begun: w.since}
		if s.cfg.Observer != nil && s.cfg.Observer.Traced(w.ctx) {
			a.traced = w.ctx
		}
		s.inFlight[st.ID] = a
		begun = a
	}
	w.act = a
	a.waiting.push(w)
	return begun, nil
}

// carry brings an act to the committer, or ends it. It does not look first
// whether the statement is stored: the store tells when it is to keep it, and
// nearly every statement is new.
func (s *Service) carry(a *act, env *trial.Envelope) {
	if err := s.begin(a, env); err != nil {
		// In a goroutine of its own, because it asks the store, and maybe waits.
		s.running.Go(func() { s.settle(a, err) })
		return
	}
	s.enqueue(a)
}

func (s *Service) enqueue(a *act) {
	a.admitted = s.observe(a.context(), StageAdmit, a.begun)
	s.queue <- a
	if len(s.queue) >= s.cfg.BatchSize-1 { // the committer has one
		select {
		case s.full <- struct{}{}:
		default:
		}
	}
}

// settle ends an act that was refused or could not be stored, or whose statement
// is held already, for which failed is nil. What is in the log has its receipt
// whatever became of this try.
func (s *Service) settle(a *act, failed error) {
	again, err := s.outcome(a, failed)
	if again {
		s.enqueue(a)
		return
	}
	s.finish(a, err)
}

// outcome looks up how an act is to end, or tells that it goes on.
func (s *Service) outcome(a *act, failed error) (again bool, err error) {
	defer recovered(&err)
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
		err = s.resume(a, rec)
		again = err == nil
	case failed == nil || refused && !errors.Is(err, ErrNotFound):
		err = unavailable(fmt.Errorf("looking a statement up: %w", err))
	default:
		err = failed
	}
	return again, err
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
func (s *Service) begin(a *act, env *trial.Envelope) (err error) {
	defer recovered(&err)
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

// finish ends an act, with err or without, and lets those who wait for it go on.
func (s *Service) finish(a *act, err error) {
	waiting := s.close([]*act{a}, err)
	if err == nil {
		s.publish(waiting)
		return
	}
	for _, w := range waiting {
		s.end(w, nil, false, err)
	}
}

// close ends acts and returns who waits for them.
func (s *Service) close(acts []*act, err error) []*submission {
	var room uint64
	taken := 0
	for _, a := range acts {
		a.err = err
		if a.trial != nil {
			s.trials.unlock(a.trial)
			a.trial = nil
		}
		room += a.room
		taken += places(a.st.Payload)
	}
	s.room.release(room)
	waiting := make([]*submission, 0, len(acts))
	s.mu.Lock()
	for _, a := range acts {
		delete(s.inFlight, a.id)
		s.releaseKey(a)
		waiting = a.waiting.take(waiting, everyone)
	}
	s.mu.Unlock()
	s.acts.leave(len(acts), taken) // first: who is answered may send the next one
	for _, a := range acts {
		if a.done != nil {
			close(a.done)
		}
	}
	return waiting
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
