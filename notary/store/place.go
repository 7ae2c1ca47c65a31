package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
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
		plain, err := s.locate(ctx, tx, rows)
		if err != nil {
			return err
		}
		if plain {
			if plain, err = s.placeAll(ctx, tx, rows); err != nil || plain {
				return err
			}
		}
		return s.placeEach(ctx, tx, rows)
	})
}

// entry is what Place was asked for, and what is known of the statement.
type entry struct {
	id      trial.ID
	index   int64
	logTime sql.NullInt64 // microseconds since 1970
	n       int64
}

func newEntry(p notary.Placed) (entry, error) {
	if p.Index > math.MaxInt64 {
		return entry{}, fmt.Errorf("invalid index: got %d, want at most %d", p.Index, int64(math.MaxInt64))
	}
	at, err := timeValue(p.LogTime)
	return entry{id: p.ID, index: int64(p.Index), logTime: at}, err
}

// locate finds the number of every statement. plain tells that each is named
// once and was never placed, which is every batch but those of a recovery.
func (s *Store) locate(ctx context.Context, tx *sql.Tx, rows []entry) (plain bool, err error) {
	whereIs := tx.StmtContext(ctx, s.write.whereIs)
	plain = true
	seen := make(map[trial.ID]bool, len(rows))
	for i := range rows {
		e := &rows[i]
		var known sql.NullInt64
		if err := whereIs.QueryRowContext(ctx, e.id[:]).Scan(&e.n, &known); errors.Is(err, sql.ErrNoRows) {
			return false, fmt.Errorf("statement %s: %w", e.id, notary.ErrNotFound)
		} else if err != nil {
			return false, err
		}
		plain = plain && !known.Valid && !seen[e.id]
		seen[e.id] = true
	}
	return plain, nil
}

// placeAll places a plain batch with one statement a table: row by row takes
// twice as long. It changes nothing and returns false where an index is taken,
// for placeEach to say which.
func (s *Store) placeAll(ctx context.Context, tx *sql.Tx, rows []entry) (bool, error) {
	list := []byte{'['}
	for i, e := range rows {
		if i > 0 {
			list = append(list, ',')
		}
		list = append(list, '[')
		list = append(strconv.AppendInt(list, e.index, 10), ',')
		list = append(strconv.AppendInt(list, e.n, 10), ',')
		if e.logTime.Valid {
			list = strconv.AppendInt(list, e.logTime.Int64, 10)
		} else {
			list = append(list, "null"...)
		}
		list = append(list, ']')
	}
	text := string(append(list, ']'))
	if _, err := tx.ExecContext(ctx, "SAVEPOINT plain"); err != nil {
		return false, err
	}
	res, err := tx.StmtContext(ctx, s.write.putEntries).ExecContext(ctx, text)
	if err != nil {
		return false, err
	}
	if n, err := res.RowsAffected(); err != nil || n != int64(len(rows)) {
		_, undo := tx.ExecContext(ctx, "ROLLBACK TO plain")
		return false, errors.Join(err, undo)
	}
	if _, err := tx.StmtContext(ctx, s.write.putAllFound).ExecContext(ctx, text); err != nil {
		return false, err
	}
	_, err = tx.StmtContext(ctx, s.write.dropAllPending).ExecContext(ctx, text)
	return true, err
}

// placeEach places one statement after the other, whatever is known of each.
func (s *Store) placeEach(ctx context.Context, tx *sql.Tx, rows []entry) error {
	p := placer{
		where:   tx.StmtContext(ctx, s.write.whereIs),
		entry:   tx.StmtContext(ctx, s.write.putEntry),
		found:   tx.StmtContext(ctx, s.write.putFound),
		pending: tx.StmtContext(ctx, s.write.dropPending),
		time:    tx.StmtContext(ctx, s.write.setTime),
		unfound: tx.StmtContext(ctx, s.write.dropFound),
		unenter: tx.StmtContext(ctx, s.write.dropEntry),
	}
	for _, e := range rows {
		if err := p.place(ctx, e); err != nil {
			return fmt.Errorf("statement %s at index %d: %w", e.id, e.index, err)
		}
	}
	return nil
}

// placer holds the statements of one transaction.
type placer struct{ where, entry, found, pending, time, unfound, unenter *sql.Stmt }

func (p *placer) place(ctx context.Context, e entry) error {
	// Read again: an earlier one of the batch may be the same statement.
	var known sql.NullInt64
	if err := p.where.QueryRowContext(ctx, e.id[:]).Scan(&e.n, &known); err != nil {
		return err
	}
	switch {
	case !known.Valid:
		if _, err := p.pending.ExecContext(ctx, e.n); err != nil {
			return err
		}
	case known.Int64 < e.index:
		return nil // of duplicates the lowest index counts
	case known.Int64 == e.index:
		_, err := p.time.ExecContext(ctx, e.logTime, e.index)
		return err
	default:
		if _, err := p.unfound.ExecContext(ctx, e.n, known.Int64); err != nil {
			return err
		}
		if _, err := p.unenter.ExecContext(ctx, known.Int64); err != nil {
			return err
		}
	}
	res, err := p.entry.ExecContext(ctx, e.index, e.logTime, e.n)
	if err != nil {
		return err
	}
	if rows, err := res.RowsAffected(); err != nil {
		return err
	} else if rows == 0 {
		return ErrIndexTaken
	}
	_, err = p.found.ExecContext(ctx, e.index, e.n)
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
