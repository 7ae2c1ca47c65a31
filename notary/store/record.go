package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// scanner is a row.
type scanner interface{ Scan(dest ...any) error }

// scanRecord reads a row of recordColumns. The record owns all its bytes.
func (s *Store) scanRecord(row scanner) (*notary.Record, error) {
	r, inRow, at, err := scanRow(row)
	if err != nil {
		return nil, err
	}
	r.Envelope.Payload, err = s.payload(r.ID[:], inRow, at)
	if errors.Is(err, notary.ErrStoreDamaged) {
		return nil, &notary.UnreadableError{Record: r, Err: err}
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// scanAnyRecord does so for one whose payload may be damaged: see
// notary.Query.Unreadable.
func (s *Store) scanAnyRecord(row scanner) (*notary.Record, error) {
	r, inRow, at, err := scanRow(row)
	if err != nil {
		return nil, err
	}
	r.Envelope.Payload, err = s.provenPayload(r.ID[:], inRow, at)
	if errors.Is(err, notary.ErrStoreDamaged) {
		r.Unreadable = err
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// scanRow reads a row of recordColumns without the payload: that is in the row, or at
// a place.
func scanRow(row scanner) (_ *notary.Record, inRow []byte, at place, err error) {
	var (
		r                   notary.Record
		id, leaf, key       []byte
		charter, supersedes []byte
		index, logTime      sql.NullInt64
		registry            []byte
		kind                string
		signer, sig         []byte
	)
	err = row.Scan(&id, &leaf, &key, &charter, &r.Site, &kind, &r.Version, &supersedes, &r.Authority,
		&signer, &r.Envelope.KeyID, &sig, &r.Envelope.PayloadType, &inRow,
		&at.at, &at.size, &index, &logTime, &registry)
	if err != nil {
		return nil, nil, at, err
	}
	// The schema's checks hold the lengths; a damaged row must not panic here.
	copy(r.ID[:], id)
	copy(r.LeafHash[:], leaf)
	copy(r.KeyID[:], key)
	copy(r.Charter[:], charter)
	copy(r.Supersedes[:], supersedes)
	r.Kind = trial.Kind(kind)
	r.SignerDER, r.Envelope.Sig = signer, sig
	if index.Valid {
		r.Logged, r.Index, r.LogTime = true, uint64(index.Int64), readTime(logTime)
	}
	if err := json.Unmarshal(registry, &r.Registry); err != nil {
		return nil, nil, at, fmt.Errorf("%w: registry numbers of statement %s: %w", notary.ErrStoreDamaged, r.ID, err)
	}
	if len(r.Registry) == 0 {
		r.Registry = nil
	}
	return &r, inRow, at, nil
}

// payload returns a statement's payload, from its row or from where that says.
func (s *Store) payload(id, inRow []byte, at place) ([]byte, error) {
	if !at.at.Valid {
		return inRow, nil
	}
	return s.payloads.load(id, at)
}

// provenPayload is never wrong: a payload that is not the statement's is damage.
func (s *Store) provenPayload(id, inRow []byte, at place) ([]byte, error) {
	payload, err := s.payload(id, inRow, at)
	if err != nil || at.at.Valid { // which was held against the ID
		return payload, err
	}
	if got := sha256.Sum256(payload); !bytes.Equal(got[:], id) {
		return nil, fmt.Errorf("%w: statement %x: its payload hashes to %x", notary.ErrStoreDamaged, id, got)
	}
	return payload, nil
}

// readTime is the inverse of timeValue.
func readTime(t sql.NullInt64) time.Time {
	if !t.Valid {
		return time.Time{}
	}
	return time.UnixMicro(t.Int64).UTC()
}

// readRecords runs a statement of recordColumns.
func (s *Store) readRecords(ctx context.Context, st *sql.Stmt, args ...any) ([]*notary.Record, error) {
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var records []*notary.Record
	for rows.Next() {
		r, err := s.scanRecord(rows)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, rows.Err()
}

// Get implements notary.Store.
func (s *Store) Get(ctx context.Context, id trial.ID) (*notary.Record, error) {
	r, err := s.scanAnyRecord(s.read.get.QueryRowContext(ctx, id[:]))
	if err == nil && r.Unreadable != nil {
		r, err = nil, &notary.UnreadableError{Record: r, Err: r.Unreadable}
	}
	return r, s.failed("reading statement "+id.String(), err)
}

// ByLeaf implements notary.Store.
func (s *Store) ByLeaf(ctx context.Context, leaf receipt.Hash) (*notary.Record, error) {
	var r *notary.Record
	err := s.inRead(ctx, fmt.Sprintf("reading statement by leaf hash %x", leaf), func(tx *sql.Tx) (err error) {
		r, err = s.byLeafHash(ctx, tx, leaf[:])
		return err
	})
	return r, err
}

// Pending implements notary.Store.
func (s *Store) Pending(ctx context.Context) ([]*notary.Record, error) {
	records, err := s.readRecords(ctx, s.read.pending)
	return records, s.failed("reading pending statements", err)
}

// CountPending returns how many statements are stored and not placed.
func (s *Store) CountPending(ctx context.Context) (int64, error) {
	var n int64
	err := s.r.QueryRowContext(ctx, "SELECT count(*) FROM pending").Scan(&n)
	return n, s.failed("counting statements without an index", err)
}

// MarkBefore implements notary.Store.
func (s *Store) MarkBefore(ctx context.Context, index uint64) (*notary.Record, error) {
	r, err := s.scanRecord(s.read.markBefore.QueryRowContext(ctx, int64(min(index, math.MaxInt64))))
	return r, s.failed(fmt.Sprintf("reading time mark before index %d", index), err)
}

// CountTrial implements notary.Store.
func (s *Store) CountTrial(ctx context.Context, charter trial.ID, after int64, below uint64) (uint64, error) {
	var n int64
	err := s.read.countTrial.QueryRowContext(ctx, charter[:], max(after, -1), int64(min(below, math.MaxInt64))).Scan(&n)
	return uint64(max(n, 0)), s.failed("counting statements of trial "+charter.String(), err)
}

// Authority implements notary.Store. The charter comes first even where other
// statements stand before it: what they are worth is not judged here.
func (s *Store) Authority(ctx context.Context, charter trial.ID) ([]*notary.Record, error) {
	var records []*notary.Record
	err := s.inRead(ctx, "reading authority of trial "+charter.String(), func(tx *sql.Tx) error {
		first, err := s.scanRecord(tx.StmtContext(ctx, s.read.get).QueryRowContext(ctx, charter[:]))
		if err != nil {
			return err
		}
		if !first.Logged || first.Charter != charter {
			return notary.ErrNotFound
		}
		records = []*notary.Record{first}
		rest, err := s.readRecords(ctx, tx.StmtContext(ctx, s.read.authority), charter[:])
		for _, r := range rest {
			if r.ID != charter {
				records = append(records, r)
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// Trials implements notary.Store: in the order of the first claim, of the
// charter itself or of a registration.
func (s *Store) Trials(ctx context.Context, registry string) ([]trial.ID, error) {
	const what = "reading trials of a registry number"
	rows, err := s.read.trials.QueryContext(ctx, registry)
	if err != nil {
		return nil, s.failed(what, err)
	}
	defer rows.Close()
	var trials []trial.ID
	for rows.Next() {
		var charter []byte
		if err := rows.Scan(&charter); err != nil {
			return nil, s.failed(what, err)
		}
		var id trial.ID
		copy(id[:], charter)
		trials = append(trials, id)
	}
	return trials, s.failed(what, rows.Err())
}
