package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// ErrIndexTaken means that another statement has the index.
var ErrIndexTaken = errors.New("index taken by another statement")

// Place implements notary.Store. It fails with notary.ErrNotFound for a
// statement that is not stored and with ErrIndexTaken for an index that another
// statement has; then nothing was placed. Where the index is known already, the
// log time given last counts: it follows from the index, and a lower copy of a
// time mark changes it.
func (s *Store) Place(ctx context.Context, placed []notary.Placed) error {
	if len(placed) == 0 {
		return nil
	}
	rows := make([]entry, len(placed))
	for i, p := range placed {
		e, err := newEntry(p)
		if err != nil {
			return fmt.Errorf("placing statement %s: %w", p.ID, err)
		}
		rows[i] = e
	}
	what := fmt.Sprintf("placing %d statements", len(placed))
	return s.inWrite(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
		if s.unplaced.take(rows) {
			return s.placeNew(ctx, tx, rows)
		}
		return s.placeEach(ctx, tx, rows)
	})
}

// entry is what Place was asked for, and what is known of the statement.
type entry struct {
	id      trial.ID
	index   int64
	logTime sql.NullInt64 // microseconds since 1970
	new     unplaced      // of a statement that was never placed, or zero
}

func newEntry(p notary.Placed) (entry, error) {
	if p.Index > math.MaxInt64 {
		return entry{}, fmt.Errorf("invalid index: got %d, want at most %d", p.Index, int64(math.MaxInt64))
	}
	at, err := timeValue(p.LogTime)
	return entry{id: p.ID, index: int64(p.Index), logTime: at}, err
}

// placeNew places statements that this process stored and never placed, from
// what it remembers of them.
func (s *Store) placeNew(ctx context.Context, tx *sql.Tx, rows []entry) error {
	one, many := tx.StmtContext(ctx, s.write.putNewEntry), tx.StmtContext(ctx, s.write.putNewEntries)
	numbers := make([]int64, len(rows))
	for i := range rows {
		numbers[i] = rows[i].new.n
	}
	args := make([]any, 0, entriesAtOnce*entryColumns)
	for len(rows) > 0 {
		put, some := one, rows[:1]
		if len(rows) >= entriesAtOnce {
			put, some = many, rows[:entriesAtOnce]
		}
		rows = rows[len(some):]
		args = args[:0]
		for i := range some {
			u := &some[i].new
			args = append(args, some[i].index, u.n, some[i].logTime, u.charter, u.site, u.kind, u.authority)
		}
		res, err := put.ExecContext(ctx, args...)
		if err == nil {
			err = allRows(res, len(some))
		}
		if err != nil && len(some) > 1 {
			return fmt.Errorf("%d statements from %s at index %d on: %w", len(some), some[0].id, some[0].index, err)
		} else if err != nil {
			return fmt.Errorf("statement %s at index %d: %w", some[0].id, some[0].index, err)
		}
	}
	return s.dropPending(ctx, tx, numbers)
}

// dropPending takes statements off the pending ones, a run of numbers at a time.
func (s *Store) dropPending(ctx context.Context, tx *sql.Tx, numbers []int64) error {
	drop := tx.StmtContext(ctx, s.write.dropPending)
	slices.Sort(numbers)
	for from := 0; from < len(numbers); {
		to := from + 1
		for to < len(numbers) && numbers[to] == numbers[to-1]+1 {
			to++
		}
		if _, err := drop.ExecContext(ctx, numbers[from], numbers[to-1]); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// placeEach places one statement after the other, whatever is known of each.
func (s *Store) placeEach(ctx context.Context, tx *sql.Tx, rows []entry) error {
	p := placer{
		where:   tx.StmtContext(ctx, s.write.whereIs),
		entry:   tx.StmtContext(ctx, s.write.putEntry),
		pending: tx.StmtContext(ctx, s.write.dropPending),
		time:    tx.StmtContext(ctx, s.write.setTime),
		unenter: tx.StmtContext(ctx, s.write.dropEntry),
	}
	for _, e := range rows {
		if err := p.place(ctx, e); errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("statement %s: %w", e.id, notary.ErrNotFound)
		} else if err != nil {
			return fmt.Errorf("statement %s at index %d: %w", e.id, e.index, err)
		}
	}
	return nil
}

// placer holds the statements of one transaction.
type placer struct{ where, entry, pending, time, unenter *sql.Stmt }

func (p *placer) place(ctx context.Context, e entry) error {
	var n int64
	var known sql.NullInt64
	if err := p.where.QueryRowContext(ctx, e.id[:]).Scan(&n, &known); err != nil {
		return err
	}
	switch {
	case !known.Valid:
		if _, err := p.pending.ExecContext(ctx, n, n); err != nil {
			return err
		}
	case known.Int64 < e.index:
		return nil // of duplicates the lowest index counts
	case known.Int64 == e.index:
		_, err := p.time.ExecContext(ctx, e.logTime, e.index)
		return err
	default:
		if _, err := p.unenter.ExecContext(ctx, known.Int64); err != nil {
			return err
		}
	}
	res, err := p.entry.ExecContext(ctx, e.index, e.logTime, n)
	if err != nil {
		return err
	}
	return allRows(res, 1)
}

// allRows fails with ErrIndexTaken where one of n rows was not written.
func allRows(res sql.Result, n int) error {
	rows, err := res.RowsAffected()
	if err == nil && rows < int64(n) {
		err = ErrIndexTaken
	}
	return err
}

// timeValue returns a log time as it is stored, in microseconds since 1970; the
// zero time is NULL. A finer time would not be read back as it was given.
func timeValue(t time.Time) (sql.NullInt64, error) {
	if t.IsZero() {
		return sql.NullInt64{}, nil
	}
	if t.Nanosecond()%1000 != 0 {
		return sql.NullInt64{}, fmt.Errorf("invalid log time: got %s, want whole microseconds", t.UTC().Format(time.RFC3339Nano))
	}
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: true}, nil
}
