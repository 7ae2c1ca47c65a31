package notary

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/trialnotary/trialnotary/trial"
)

// fact is a logged authority statement of a trial. It is immutable, but for the
// parts of its evidence, which are made once.
type fact struct {
	record *Record
	st     *trial.Statement
	// refusal says why the statement has no effect, or is nil.
	refusal error

	proof proof
}

// snapshot is what a trial's authority statements say up to one of them. It is
// immutable: a change makes a new one, so that readers never wait.
type snapshot struct {
	auth  *trial.Authority
	facts []*fact // in log order, the charter first
}

// with returns the snapshot after one more logged statement.
func (s *snapshot) with(st *trial.Statement, rec *Record) (*snapshot, error) {
	next := &snapshot{auth: s.auth.Clone(), facts: slices.Clone(s.facts)}
	return next, next.fold(st, rec)
}

// fold changes a snapshot that nobody else sees yet. A statement without effect
// is a fact as well.
func (s *snapshot) fold(st *trial.Statement, rec *Record) error {
	f := &fact{record: rec, st: st}
	if err := s.auth.Apply(st, rec.Index, rec.LogTime); err != nil {
		if refusal := new(trial.Refusal); !errors.As(err, &refusal) {
			return err
		}
		f.refusal = err
	}
	s.facts = append(s.facts, f)
	return nil
}

// trialState is a trial in memory.
type trialState struct {
	charter trial.ID
	// turn is held, by a value inside, by the one authority statement of the
	// trial that is between its admission and its effect.
	turn chan struct{}
	// loading lets one goroutine load.
	loading sync.Mutex
	// now is nil until the trial is loaded. Then only the holder of turn
	// replaces it.
	now atomic.Pointer[snapshot]

	evidence evidenceCache
	verifier atomic.Pointer[trialVerifier]

	// Owned by trials.
	pins    int
	element *list.Element
}

// apply lets a logged authority statement take effect.
func (t *trialState) apply(st *trial.Statement, rec *Record) error {
	next, err := t.now.Load().with(st, rec)
	if err != nil {
		return fmt.Errorf("%w: authority of trial %s: %w", ErrDamaged, t.charter, err)
	}
	t.now.Store(next)
	return nil
}

// trials holds the authority of the trials that were used last. A trial is
// pinned while somebody relies on its being the only copy.
type trials struct {
	load func(ctx context.Context, charter trial.ID) (*snapshot, error)
	max  int

	mu   sync.Mutex
	byID map[trial.ID]*trialState
	used *list.List // of *trialState, the newest first
}

func newTrials(limit int, load func(context.Context, trial.ID) (*snapshot, error)) *trials {
	return &trials{load: load, max: limit, byID: make(map[trial.ID]*trialState), used: list.New()}
}

func (t *trials) pin(charter trial.ID) *trialState {
	t.mu.Lock()
	defer t.mu.Unlock()
	st, ok := t.byID[charter]
	if !ok {
		st = &trialState{charter: charter, turn: make(chan struct{}, 1)}
		st.element = t.used.PushFront(st)
		t.byID[charter] = st
	} else {
		t.used.MoveToFront(st.element)
	}
	st.pins++
	return st
}

func (t *trials) unpin(st *trialState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	st.pins--
	if st.pins == 0 && st.now.Load() == nil {
		t.remove(st) // nothing of that name
	}
	for e := t.used.Back(); e != nil && len(t.byID) > t.max; {
		oldest, ok := e.Value.(*trialState)
		e = e.Prev()
		if ok && oldest.pins == 0 {
			t.remove(oldest)
		}
	}
}

func (t *trials) remove(st *trialState) {
	t.used.Remove(st.element)
	delete(t.byID, st.charter)
}

// loaded loads a pinned trial. It fails with a *trial.Refusal UNKNOWN_TRIAL
// where its charter is not logged.
func (t *trials) loaded(ctx context.Context, st *trialState) (*snapshot, error) {
	if now := st.now.Load(); now != nil {
		return now, nil
	}
	st.loading.Lock()
	defer st.loading.Unlock()
	if now := st.now.Load(); now != nil {
		return now, nil
	}
	now, err := t.load(ctx, st.charter)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, &trial.Refusal{Reason: trial.ReasonUnknownTrial, Path: "predicate.charter",
			Detail: fmt.Sprintf("no trial %s: its charter is not logged here", st.charter)}
	case errors.Is(err, ErrDamaged):
		return nil, err
	case err != nil:
		return nil, unavailable(fmt.Errorf("loading a trial: %w", err))
	}
	st.now.Store(now)
	return now, nil
}

// get returns a trial and what is known of its authority now.
func (t *trials) get(ctx context.Context, charter trial.ID) (*trialState, *snapshot, error) {
	st := t.pin(charter)
	defer t.unpin(st)
	now, err := t.loaded(ctx, st)
	return st, now, err
}

// held returns a trial if it is loaded, so that get would not wait, else nil.
func (t *trials) held(charter trial.ID) *trialState {
	t.mu.Lock()
	defer t.mu.Unlock()
	if st, ok := t.byID[charter]; ok && st.now.Load() != nil {
		return st
	}
	return nil
}

func (t *trials) authority(ctx context.Context, charter trial.ID) (*trial.Authority, error) {
	_, now, err := t.get(ctx, charter)
	if err != nil {
		return nil, err
	}
	return now.auth, nil
}

// lock waits for the trial's turn to change its authority, and pins the trial
// until unlock.
func (t *trials) lock(ctx context.Context, charter trial.ID) (*trialState, error) {
	st := t.pin(charter)
	if _, err := t.loaded(ctx, st); err != nil {
		t.unpin(st)
		return nil, err
	}
	select {
	case st.turn <- struct{}{}:
		return st, nil
	case <-ctx.Done():
		t.unpin(st)
		return nil, unavailable(context.Cause(ctx))
	}
}

func (t *trials) unlock(st *trialState) {
	<-st.turn
	t.unpin(st)
}

// loadTrial folds a trial's stored authority statements.
func (s *Service) loadTrial(ctx context.Context, charter trial.ID) (*snapshot, error) {
	records, err := s.store.Authority(ctx, charter)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, ErrNotFound
	}
	return foldAuthority(records)
}

// foldAuthority folds a trial's authority statements in log order. Their
// signatures are verified again: a row that somebody edited gives no authority.
func foldAuthority(records []*Record) (*snapshot, error) {
	var now *snapshot
	for _, rec := range records {
		st, err := openRecord(rec)
		if err != nil {
			return nil, err
		}
		if now == nil {
			auth, err := trial.NewAuthority(st, rec.Index)
			if err != nil {
				return nil, fmt.Errorf("%w: charter %s: %w", ErrDamaged, rec.ID, err)
			}
			now = &snapshot{auth: auth, facts: []*fact{{record: rec, st: st}}}
			continue
		}
		if err := now.fold(st, rec); err != nil {
			return nil, fmt.Errorf("%w: statement %s: %w", ErrDamaged, rec.ID, err)
		}
	}
	return now, nil
}

// openRecord parses a stored statement and verifies it: its id is that of its
// payload, and its signature that of the key it names.
func openRecord(rec *Record) (*trial.Statement, error) {
	fail := func(err error) (*trial.Statement, error) {
		return nil, fmt.Errorf("%w: stored statement %s: %w", ErrDamaged, rec.ID, err)
	}
	st, err := trial.ParseStatement(rec.Envelope.Payload)
	if err != nil {
		return fail(err)
	}
	key, err := trial.ParsePublicKeyDER(rec.SignerDER)
	if err != nil {
		return fail(err)
	}
	switch {
	case st.ID != rec.ID:
		return fail(fmt.Errorf("its payload is that of statement %s", st.ID))
	case st.Predicate.Signer.KeyID != key.ID:
		return fail(fmt.Errorf("got key %s, want %s, which it names", key.ID, st.Predicate.Signer.KeyID))
	}
	if err := rec.Envelope.Verify(key); err != nil {
		return fail(err)
	}
	return st, nil
}
