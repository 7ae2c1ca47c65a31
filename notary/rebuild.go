package notary

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// rebuildBatch is how many statements a rebuild stores in one transaction.
const rebuildBatch = 512

// Salvaged is a statement as some source has it: the signed bytes and the key,
// which the log entry and everything else follow from.
type Salvaged struct {
	Envelope  trial.Envelope
	SignerDER []byte
}

// RebuildReport tells what a rebuild did.
type RebuildReport struct {
	Entries    uint64 // of the log
	Statements int    // found and placed
	Pending    int    // stored and not in the log
	// Lost counts entries whose statement no source has. The first ones' indexes
	// are in LostAt.
	Lost   uint64
	LostAt []uint64
}

// lostShown bounds RebuildReport.LostAt.
const lostShown = 100

// Rebuild fills an empty store with the statements of a log's entries, in its order:
// everything that the store holds of a statement is made of its signed bytes and of
// its place in the log again. find returns the statement of an entry by its leaf
// hash, or ErrNotFound; what it returns is believed only if it gives that leaf.
// pending are statements that wait for their entry.
//
// It writes to the store alone. The high-water mark is the caller's to set. It fails
// with ErrDatabaseBehind, and the store is of no use, where statements are lost.
func Rebuild(ctx context.Context, c Config, find func(context.Context, receipt.Hash) (*Salvaged, error), pending []*Salvaged) (RebuildReport, error) {
	s, err := newService(c)
	if err != nil {
		return RebuildReport{}, err
	}
	defer s.cancel()
	r := &rebuild{store: c.Store, find: find, placed: make(map[receipt.Hash]struct{}), enrolments: make(map[trial.ID]bool)}
	if err := s.log.Scan(ctx, 0, func(index uint64, entry []byte) error { return r.entry(ctx, index, entry) }); err != nil {
		return r.report, fmt.Errorf("reading the log: %w", err)
	}
	if r.report.Lost > 0 {
		return r.report, fmt.Errorf("%w: %d of the log's entries have no statement in any source, the first at index %d",
			ErrDatabaseBehind, r.report.Lost, r.report.LostAt[0])
	}
	if err := r.flush(ctx); err != nil {
		return r.report, err
	}
	if err := r.waiting(ctx, pending); err != nil {
		return r.report, err
	}
	return r.report, c.Store.SetPlacedUpTo(ctx, r.report.Entries)
}

// rebuild is one run over the log.
type rebuild struct {
	store  Store
	find   func(context.Context, receipt.Hash) (*Salvaged, error)
	report RebuildReport

	// placed are the leaves met: of duplicates the lowest index counts.
	placed map[receipt.Hash]struct{}
	// enrolments are the key enrolments met: an endorsement of one of them may
	// change who may sign.
	enrolments map[trial.ID]bool
	mark       time.Time
	records    []*Record
	places     []Placed
}

func (r *rebuild) entry(ctx context.Context, index uint64, entry []byte) error {
	r.report.Entries++
	leaf := receipt.LeafHash(entry)
	if _, ok := r.placed[leaf]; ok {
		return nil
	}
	found, err := r.find(ctx, leaf)
	if errors.Is(err, ErrNotFound) {
		if r.report.Lost++; len(r.report.LostAt) < lostShown {
			r.report.LostAt = append(r.report.LostAt, index)
		}
		return nil
	}
	if err != nil {
		return err
	}
	rec, st, rebuilt, err := r.record(found)
	if err != nil {
		return fmt.Errorf("entry %d: %w", index, err)
	}
	if !bytes.Equal(rebuilt, entry) {
		return fmt.Errorf("entry %d: %w: the statement that was found gives another entry", index, ErrDamaged)
	}
	r.placed[leaf] = struct{}{}
	r.enrolments[rec.ID] = rec.Kind == trial.KindKeyEnrolment
	r.records = append(r.records, rec)
	r.places = append(r.places, Placed{ID: rec.ID, Index: index, LogTime: r.mark})
	r.report.Statements++
	if body, ok := st.Predicate.Body.(*trial.TimeMarkBody); ok {
		r.mark = body.Time
	}
	if len(r.records) < rebuildBatch {
		return nil
	}
	return r.flush(ctx)
}

// record verifies a statement and makes its record.
func (r *rebuild) record(found *Salvaged) (*Record, *trial.Statement, []byte, error) {
	key, err := trial.ParsePublicKeyDER(found.SignerDER)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	st, err := trial.ParseStatement(found.Envelope.Payload)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	authority := st.Predicate.Kind.Folded()
	if body, ok := st.Predicate.Body.(*trial.EndorsementBody); ok {
		authority = r.enrolments[body.Statement]
	}
	rec, entry := newRecord(&found.Envelope, st, key, authority)
	if _, err := openRecord(rec); err != nil {
		return nil, nil, nil, err
	}
	return rec, st, entry, nil
}

func (r *rebuild) flush(ctx context.Context) error {
	if r.report.Lost > 0 || len(r.records) == 0 {
		return nil
	}
	if _, err := r.store.Put(ctx, r.records); err != nil {
		return fmt.Errorf("storing statements: %w", err)
	}
	if err := r.store.Place(ctx, r.places); err != nil {
		return fmt.Errorf("placing statements: %w", err)
	}
	r.records, r.places = r.records[:0], r.places[:0]
	return nil
}

// waiting stores what waits for its entry, but for time marks: they tell the time
// of a moment that has passed.
func (r *rebuild) waiting(ctx context.Context, pending []*Salvaged) error {
	for _, found := range pending {
		rec, _, _, err := r.record(found)
		if err != nil {
			return fmt.Errorf("a statement without an entry: %w", err)
		}
		if _, ok := r.placed[rec.LeafHash]; ok || rec.Kind == trial.KindTimeMark {
			continue
		}
		if _, err := r.store.Put(ctx, []*Record{rec}); err != nil {
			return fmt.Errorf("storing a statement without an entry: %w", err)
		}
		r.report.Pending++
	}
	return nil
}
