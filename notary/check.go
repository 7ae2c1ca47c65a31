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

// Check reads the whole log and every statement back and compares them: the
// log's own files, the database's own form, for each entry the statement that it
// commits to, with its signature, index and log time, the order of the time
// marks, and each trial's authority folded again. The error names what is wrong,
// under ErrDamaged, ErrDatabaseBehind or ErrLogBehind. It may run beside
// submissions: it covers what was placed when it began.
//
// CheckStatus tells how far it is, and Health what the last one found. WithShare
// bounds the share of a core that it takes. One check runs at a time: another one
// waits.
func (s *Service) Check(ctx context.Context) (report CheckReport, err error) {
	select {
	case s.checking <- struct{}{}:
		defer func() { <-s.checking }()
	case <-ctx.Done():
		return report, ctx.Err()
	}
	// First, so that everything below it is in the log and in the store.
	size := s.placedUpTo.known()
	began := time.Now()
	s.checks.begin(size)
	defer func() { s.checks.end(began, report, err) }()
	return s.readBack(ctx, size, size)
}

// Examine is Check for a notary that does not run: a copy, or a folder that a
// crash left behind. It recovers nothing and writes nothing, so that a copy
// never becomes a second history. What the next start would place or log is
// counted as pending. The log should be opened for reading only.
func Examine(ctx context.Context, c Config) (CheckReport, error) {
	s, err := newService(c)
	if err != nil {
		return CheckReport{}, err
	}
	defer s.cancel()
	placed, err := s.store.PlacedUpTo(ctx)
	if err != nil {
		err = fmt.Errorf("reading how far the database is: %w", err)
	} else {
		err = s.refuseLogBehind(ctx, placed, s.log.Size())
	}
	if errors.Is(err, ErrStoreDamaged) {
		err = errors.Join(s.store.Check(ctx), err) // it names the page first
	}
	if err != nil {
		return CheckReport{}, err
	}
	size := s.log.Size()
	return s.readBack(ctx, size, placed)
}

// readBack reads the log and the database back, each by itself and then against
// each other, up to size. From placed on, an entry without an index in the
// database is no damage.
func (s *Service) readBack(ctx context.Context, size, placed uint64) (CheckReport, error) {
	report := &CheckReport{}
	if _, err := s.log.Check(ctx); err != nil {
		return *report, oneDamaged{fmt.Errorf("the log: %w", err)}
	}
	s.checks.phase(CheckingDatabase)
	if err := s.store.Check(ctx); err != nil {
		return *report, oneDamaged{fmt.Errorf("the database: %w", err)}
	}
	if held := s.log.Size(); held < size {
		return *report, fmt.Errorf("%w: got %d entries, want %d", ErrLogBehind, held, size)
	}
	s.checks.phase(CheckingStatements)
	c := &checker{s: s, size: size, placed: placed, report: report, rows: rows{store: s.store, below: size}, trials: make(map[trial.ID]*snapshot)}
	err := s.log.Scan(ctx, 0, func(index uint64, entry []byte) error {
		if index >= size {
			return errChecked
		}
		return c.entry(ctx, index, entry)
	})
	switch {
	case err != nil && !errors.Is(err, errChecked):
		return *report, err
	case report.Entries != size:
		return *report, fmt.Errorf("%w: read %d entries, want %d", ErrLogBehind, report.Entries, size)
	case c.lost > 0:
		return *report, lostStatements(c.lost, c.firstLost)
	}
	if err := c.compareFolds(ctx); err != nil {
		return *report, err
	}
	return *report, c.pending(ctx)
}

// oneDamaged is an error under ErrDamaged about the log or the database alone. Its
// words do not say that they contradict each other: docs/operations.md has another
// way back for that.
type oneDamaged struct{ error }

func (e oneDamaged) Unwrap() error      { return e.error }
func (oneDamaged) Is(target error) bool { return target == ErrDamaged }

// lostStatements tells how much of the log the database does not know.
func lostStatements(n, first uint64) error {
	return fmt.Errorf("%w: %d of the log's entries have no statement in the database, the first at index %d; restore the newest copy of the database",
		ErrDatabaseBehind, n, first)
}

// errChecked ends a scan.
var errChecked = errors.New("checked")

// checker walks the log and the database's placed rows once, side by side, so that
// neither has what the other has not.
type checker struct {
	s *Service
	// size is how much of the log is compared: it falls to the first entry that
	// the database does not know an index of, which is no damage from placed on.
	size, placed uint64
	report       *CheckReport
	rows         rows
	mark         *timeMark
	trials       map[trial.ID]*snapshot
	// lost counts entries without a statement, from firstLost on.
	lost, firstLost uint64
}

func (c *checker) entry(ctx context.Context, index uint64, entry []byte) error {
	c.report.Entries++
	c.s.checks.progress(index)
	if index%rowsAtOnce == 0 {
		if err := Pause(ctx); err != nil {
			return err
		}
	}
	leaf := receipt.LeafHash(entry)
	row, placed, err := c.rows.at(ctx, index)
	switch {
	case err != nil:
		return fmt.Errorf("reading the statement at index %d: %w", index, err)
	case !placed:
		return c.unplaced(ctx, index, leaf)
	case row.LeafHash != leaf:
		return fmt.Errorf("%w: the database places statement %s at index %d, where the log has another entry", ErrDamaged, row.ID, index)
	case c.lost > 0 || index >= c.size:
		return nil // what came before it is not known
	}
	if err := c.statement(ctx, row, entry); err != nil {
		return fmt.Errorf("entry %d: %w", index, err)
	}
	return nil
}

// unplaced judges an entry at whose index the database has nothing: a duplicate, or
// one that the next start will place.
func (c *checker) unplaced(ctx context.Context, index uint64, leaf receipt.Hash) error {
	rec, err := c.s.store.ByLeaf(ctx, leaf)
	switch {
	case errors.Is(err, ErrNotFound):
		if c.lost == 0 {
			c.firstLost = index
		}
		c.lost++
		return nil
	case err != nil:
		return fmt.Errorf("looking the statement of entry %d up: %w", index, err)
	case !rec.Logged && index >= c.placed:
		c.size = min(c.size, index)
		return nil
	case !rec.Logged:
		return fmt.Errorf("%w: statement %s is at index %d of the log and has no index in the database", ErrDamaged, rec.ID, index)
	case rec.Index < index:
		return nil // a duplicate has no effect
	case rec.Index == index:
		return fmt.Errorf("%w: statement %s is at index %d, and the database does not list it there", ErrDamaged, rec.ID, index)
	}
	return fmt.Errorf("%w: statement %s is at index %d of the log, the database says %d", ErrDamaged, rec.ID, index, rec.Index)
}

// pending judges the statements without an index. They were admitted and will be
// logged as they are.
func (c *checker) pending(ctx context.Context) error {
	pending, err := c.s.store.Pending(ctx)
	if err != nil {
		return fmt.Errorf("reading statements without an index: %w", err)
	}
	c.report.Pending = len(pending)
	for _, rec := range pending {
		st, err := openRecord(rec)
		if err == nil {
			_, err = projected(st, rec)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// statement compares one stored statement with its entry and with all that came
// before it.
func (c *checker) statement(ctx context.Context, rec *Record, entry []byte) error {
	st, err := openRecord(rec)
	if err != nil {
		return err
	}
	rebuilt, err := projected(st, rec)
	if err != nil {
		return err
	}
	if !bytes.Equal(rebuilt, entry) {
		return fmt.Errorf("%w: statement %s gives another entry than the log's", ErrDamaged, rec.ID)
	}
	c.report.Statements++
	if want := c.logTime(); !rec.LogTime.Equal(want) {
		return fmt.Errorf("%w: statement %s: got log time %s in the database, want %s by the time marks",
			ErrDamaged, rec.ID, rec.LogTime.Format(time.RFC3339Nano), want.Format(time.RFC3339Nano))
	}
	if st.Predicate.Kind == trial.KindTimeMark {
		return c.timeMark(rec)
	}
	return c.fold(ctx, st, rec)
}

func (c *checker) logTime() time.Time {
	if c.mark == nil {
		return time.Time{}
	}
	return c.mark.time
}

func (c *checker) timeMark(rec *Record) error {
	c.report.Marks++
	mark, err := parseMark(rec)
	switch {
	case err != nil:
		return err
	case rec.KeyID != c.s.self.ID:
		return fmt.Errorf("%w: time mark %s is signed by key %s, want the notary's %s", ErrDamaged, rec.ID, rec.KeyID, c.s.self.ID)
	case c.mark != nil && mark.time.Before(c.mark.time):
		return fmt.Errorf("%w: time mark %s goes back from %s to %s", ErrDamaged, rec.ID,
			c.mark.time.Format(time.RFC3339Nano), mark.time.Format(time.RFC3339Nano))
	}
	c.mark = mark
	return nil
}

// fold runs a trial's authority again and counts what has no effect.
func (c *checker) fold(ctx context.Context, st *trial.Statement, rec *Record) error {
	if st.Predicate.Kind == trial.KindCharter {
		auth, err := trial.NewAuthority(st, rec.Index)
		if err != nil {
			return fmt.Errorf("%w: charter %s: %w", ErrDamaged, rec.ID, err)
		}
		c.trials[rec.ID] = &snapshot{auth: auth, facts: []*fact{{record: rec, st: st}}}
		c.report.Trials++
		return nil
	}
	now := c.trials[st.Predicate.Charter]
	if now == nil {
		return fmt.Errorf("%w: statement %s is logged before its trial's charter", ErrDamaged, rec.ID)
	}
	if key, ok := now.auth.Key(st.Predicate.Signer.KeyID); !ok || key.ID != rec.KeyID {
		return fmt.Errorf("%w: statement %s is signed by key %s, which its trial had not enrolled", ErrDamaged, rec.ID, rec.KeyID)
	}
	// The other way round is no damage: an endorsement of an enrolment that had
	// no effect is folded, and has none either.
	if !rec.Authority && trial.AffectsAuthority(st, now.auth) {
		return fmt.Errorf("%w: statement %s changes the trial's authority, and the database does not list it there", ErrDamaged, rec.ID)
	}
	if !rec.Authority {
		return nil
	}
	if may, err := c.mayChangeAuthority(ctx, st); err != nil {
		return err
	} else if !may {
		return fmt.Errorf("%w: statement %s cannot change the trial's authority, and the database lists it there", ErrDamaged, rec.ID)
	}
	if err := now.fold(st, rec); err != nil {
		return fmt.Errorf("%w: statement %s: %w", ErrDamaged, rec.ID, err)
	}
	if now.facts[len(now.facts)-1].refusal != nil {
		c.report.NoEffect++
	}
	return nil
}

// mayChangeAuthority tells whether a statement is of those that do, whatever became
// of it.
func (c *checker) mayChangeAuthority(ctx context.Context, st *trial.Statement) (bool, error) {
	endorsement, ok := st.Predicate.Body.(*trial.EndorsementBody)
	if !ok {
		return st.Predicate.Kind.Folded(), nil
	}
	target, err := c.s.store.Get(ctx, endorsement.Statement)
	switch {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("looking an endorsement's target up: %w", err)
	}
	return target.Kind == trial.KindKeyEnrolment, nil
}

// compareFolds demands that what the service would load is what the log gives.
func (c *checker) compareFolds(ctx context.Context) error {
	for charter, now := range c.trials {
		stored, err := c.s.store.Authority(ctx, charter)
		if err != nil {
			return fmt.Errorf("%w: reading the authority of trial %s: %w", ErrDamaged, charter, err)
		}
		for len(stored) > 0 && stored[len(stored)-1].Index >= c.size {
			stored = stored[:len(stored)-1]
		}
		if len(stored) != len(now.facts) {
			return fmt.Errorf("%w: trial %s: got %d authority statements in the database, want the log's %d", ErrDamaged, charter, len(stored), len(now.facts))
		}
		for i, f := range now.facts {
			if stored[i].ID != f.record.ID {
				return fmt.Errorf("%w: trial %s: got authority statement %s, want the log's %s", ErrDamaged, charter, stored[i].ID, f.record.ID)
			}
		}
	}
	return nil
}
