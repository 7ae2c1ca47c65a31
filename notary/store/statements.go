package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// ErrPlaced means that a statement is in the log and cannot be forgotten.
var ErrPlaced = errors.New("statement is in the log")

// Put implements notary.Store. An error at the very end of the write leaves the
// statements invisible here; should the machine then crash, they may be found
// pending at the next start.
func (s *Store) Put(ctx context.Context, records []*notary.Record) (held []trial.ID, err error) {
	for i, r := range records {
		if err := checkRecord(r); err != nil {
			return nil, fmt.Errorf("storing statement %d of %d: %w", i+1, len(records), err)
		}
	}
	if len(records) == 0 {
		return nil, nil
	}
	what := fmt.Sprintf("storing %d statements", len(records))
	var fresh []unplaced
	var next *lookupState
	err = s.inWrite(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
		var last int64
		if err := tx.StmtContext(ctx, s.write.lastNumber).QueryRowContext(ctx).Scan(&last); err != nil {
			return err
		}
		p := putter{
			statement: tx.StmtContext(ctx, s.write.putStatement),
			registry:  tx.StmtContext(ctx, s.write.putRegistry),
		}
		var pairs [lookupKinds][]pair
		for _, r := range records {
			n, err := p.put(ctx, r)
			switch {
			case err != nil:
				return fmt.Errorf("statement %s: %w", r.ID, err)
			case n == 0:
				held = append(held, r.ID)
			default:
				fresh = append(fresh, newUnplaced(r, n))
				pairsOf(&pairs, n, r.LeafHash[:], r.Subjects)
			}
		}
		s.unplaced.add(fresh)
		var err error
		if len(fresh) > 0 {
			if next, err = s.grown(ctx, tx, pairs, last, fresh[len(fresh)-1].n); err != nil {
				return err
			}
		}
		_, err = tx.StmtContext(ctx, s.write.putPending).ExecContext(ctx, last)
		return err
	}, func() { s.lookups.set(next) })
	if err != nil {
		s.unplaced.remove(fresh)
		return nil, err
	}
	return held, nil
}

// putter holds the statements of one transaction.
type putter struct{ statement, registry *sql.Stmt }

// put returns the statement's number, or 0 where it is held already.
func (p *putter) put(ctx context.Context, r *notary.Record) (int64, error) {
	res, err := p.statement.ExecContext(ctx, r.ID[:], r.LeafHash[:], r.KeyID[:], blob(r.Charter), r.Site, string(r.Kind),
		r.Version, blob(r.Supersedes), r.Authority, present(r.SignerDER), r.Envelope.KeyID, present(r.Envelope.Sig),
		r.Envelope.PayloadType, present(r.Envelope.Payload))
	if err != nil {
		return 0, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return 0, err
	}
	n, err := res.LastInsertId()
	if err != nil {
		return 0, err
	}
	for pos, number := range r.Registry {
		if _, err := p.registry.ExecContext(ctx, n, pos, number); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// checkRecord refuses what could not be read back as it was written. Whether the
// statement is true to its own ID was judged when it was opened.
func checkRecord(r *notary.Record) error {
	switch {
	case r.ID.IsZero():
		return errors.New("invalid record: got no ID")
	case r.KeyID.IsZero():
		return errors.New("invalid record: got no key ID")
	case r.Kind == "":
		return errors.New("invalid record: got no kind")
	case r.Logged:
		return errors.New("invalid record: got an index, want none before it is placed")
	}
	for _, text := range []struct{ name, value string }{
		{"payload type", r.Envelope.PayloadType}, {"key hint", r.Envelope.KeyID},
		{"site", r.Site}, {"kind", string(r.Kind)}, {"version", r.Version},
	} {
		if err := checkText(text.name, text.value); err != nil {
			return err
		}
	}
	for _, number := range r.Registry {
		if err := checkText("registry number", number); err != nil {
			return err
		}
	}
	return nil
}

// checkText refuses what SQLite's text functions would cut or change.
func checkText(name, s string) error {
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return fmt.Errorf("invalid %s: got bytes that are not UTF-8 or a NUL", name)
	}
	return nil
}

// Drop implements notary.Store. It fails with ErrPlaced, and forgets nothing,
// where one of the statements is in the log; an unknown ID is no error. The
// bytes are overwritten in the file and the write-ahead log is emptied: where
// that alone fails, calling again repeats it.
func (s *Store) Drop(ctx context.Context, ids []trial.ID) error {
	if len(ids) == 0 {
		return nil
	}
	var next *lookupState
	err := s.inWrite(ctx, fmt.Sprintf("dropping %d statements", len(ids)), func(ctx context.Context, tx *sql.Tx) error {
		where, drop := tx.StmtContext(ctx, s.write.whereIs), tx.StmtContext(ctx, s.write.dropStatement)
		for _, id := range ids {
			var n int64
			var index sql.NullInt64
			err := where.QueryRowContext(ctx, id[:]).Scan(&n, &index)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			if index.Valid {
				return fmt.Errorf("statement %s: %w, at index %d", id, ErrPlaced, index.Int64)
			}
			s.unplaced.remove([]unplaced{{id: id}})
			if next, err = s.without(ctx, tx, next, n); err != nil {
				return err
			}
			if _, err := drop.ExecContext(ctx, n); err != nil {
				return err
			}
		}
		return nil
	}, func() { s.lookups.set(next) })
	if err != nil {
		return err
	}
	return s.TruncateLog(context.WithoutCancel(ctx))
}

// blob returns an ID as it is stored: an absent one is empty.
func blob[T ~[32]byte](id T) []byte {
	if id == (T{}) {
		return []byte{}
	}
	return id[:]
}

// present keeps nil bytes from becoming NULL.
func present(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
