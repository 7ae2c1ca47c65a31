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
	b := batch{s: s, records: records}
	err = s.inWrite(ctx, what, b.put, func() {
		s.lookups.set(b.next)
		s.payloads.committed()
	})
	if err != nil {
		s.unplaced.remove(b.fresh)
		return nil, err
	}
	if s.payloads.toErase.Load() {
		// What is to be overwritten stays in the database until it is.
		_ = s.eraseDropped(context.WithoutCancel(ctx))
	}
	return b.held, nil
}

// batch is what one Put stores.
type batch struct {
	s       *Store
	records []*notary.Record

	held  []trial.ID
	fresh []unplaced
	next  *lookupState
}

func (b *batch) put(ctx context.Context, tx *sql.Tx) (err error) {
	s := b.s
	if err := s.payloads.begin(ctx, tx); err != nil {
		return err
	}
	var last int64
	if err := tx.StmtContext(ctx, s.write.lastNumber).QueryRowContext(ctx).Scan(&last); err != nil {
		return err
	}
	p := putter{
		payloads: &s.payloads, maxInRow: s.maxInRow,
		whereIs:   tx.StmtContext(ctx, s.write.whereIs),
		statement: tx.StmtContext(ctx, s.write.putStatement),
		registry:  tx.StmtContext(ctx, s.write.putRegistry),
	}
	var pairs [lookupKinds][]pair
	subjects := 0
	for _, r := range b.records {
		subjects += len(r.Subjects)
	}
	pairs[byLeaf], pairs[byDigest] = make([]pair, 0, len(b.records)), make([]pair, 0, subjects)
	for _, r := range b.records {
		n, err := p.put(ctx, r)
		switch {
		case err != nil:
			return fmt.Errorf("statement %s: %w", r.ID, err)
		case n == 0:
			b.held = append(b.held, r.ID)
		default:
			b.fresh = append(b.fresh, newUnplaced(r, n))
			pairsOf(&pairs, n, r.LeafHash[:], r.Subjects)
		}
	}
	if p.large {
		// Before the rows that name them.
		if err := s.payloads.sync(); err != nil {
			return err
		}
	}
	s.unplaced.add(b.fresh)
	if len(b.fresh) > 0 {
		if b.next, err = s.grown(ctx, tx, pairs, last, b.fresh[len(b.fresh)-1].n); err != nil {
			return err
		}
	}
	_, err = tx.StmtContext(ctx, s.write.putPending).ExecContext(ctx, last)
	return err
}

// putter holds the statements of one transaction.
type putter struct {
	payloads                     *payloads
	maxInRow                     int
	whereIs, statement, registry *sql.Stmt

	large bool // a payload was written to the file
}

// place writes a large payload to its file, if the statement is new.
func (p *putter) place(ctx context.Context, r *notary.Record) (at place, isNew bool, err error) {
	var n int64
	var index sql.NullInt64
	err = p.whereIs.QueryRowContext(ctx, r.ID[:]).Scan(&n, &index)
	if !errors.Is(err, sql.ErrNoRows) {
		return at, false, err
	}
	p.large = true
	at, err = p.payloads.append(r.Envelope.Payload)
	return at, true, err
}

// put returns the statement's number, or 0 where it is held already.
func (p *putter) put(ctx context.Context, r *notary.Record) (int64, error) {
	var at place
	inRow := r.Envelope.Payload
	if len(inRow) > p.maxInRow {
		var isNew bool
		var err error
		if at, isNew, err = p.place(ctx, r); err != nil || !isNew {
			return 0, err
		}
		inRow = nil
	}
	res, err := p.statement.ExecContext(ctx, r.ID[:], r.LeafHash[:], r.KeyID[:], blob(r.Charter), r.Site, string(r.Kind),
		r.Version, blob(r.Supersedes), r.Authority, present(r.SignerDER), r.Envelope.KeyID, present(r.Envelope.Sig),
		r.Envelope.PayloadType, at.at, at.size, present(inRow))
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
			if _, err := tx.StmtContext(ctx, s.write.putDropped).ExecContext(ctx, n); err != nil {
				return err
			}
			if _, err := drop.ExecContext(ctx, n); err != nil {
				return err
			}
		}
		return nil
	}, func() {
		s.lookups.set(next)
		s.payloads.toErase.Store(true) // until it was
	})
	if err != nil {
		return err
	}
	if err := s.eraseDropped(context.WithoutCancel(ctx)); err != nil {
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
