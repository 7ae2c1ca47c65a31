package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// Salvage reads what can still be read of a database, without a look at any index
// and without writing to it. What it returns of a statement are the signed bytes
// alone; whoever takes them verifies them.
type Salvage struct {
	db       *sql.DB
	payloads payloads
	// leaves leads from the leaf hash that a statement's bytes give to its row.
	leaves map[receipt.Hash]int64
	// Problems tell what could not be read.
	Problems []string
}

// OpenSalvage reads all statements of a database once.
func OpenSalvage(ctx context.Context, path string) (*Salvage, error) {
	abs, err := filepath.Abs(path)
	if err == nil {
		err = checkHeader(abs)
	}
	if err != nil && !errors.Is(err, notary.ErrStoreDamaged) {
		return nil, fmt.Errorf("salvaging a database: %w", err)
	}
	db, err := sql.Open("sqlite", dsn(abs, readMode(abs), "query_only(ON)"))
	if err != nil {
		return nil, fmt.Errorf("salvaging a database: %w", err)
	}
	db.SetMaxOpenConns(1)
	s := &Salvage{db: db, leaves: make(map[receipt.Hash]int64), payloads: payloads{path: abs + payloadsSuffix, readOnly: true}}
	if err := s.scan(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("salvaging %s: %w", abs, err), db.Close())
	}
	return s, nil
}

// Close closes the file.
func (s *Salvage) Close() error { return errors.Join(s.db.Close(), s.payloads.close()) }

// Statements returns how many were read.
func (s *Salvage) Statements() int { return len(s.leaves) }

const sqlSalvage = `SELECT n, signer, key_hint, sig, payload_type, payload, id, payload_at, payload_size FROM statements NOT INDEXED WHERE `

// salvagedRow is what a row has of a statement.
type salvagedRow struct {
	n     int64
	found notary.Salvaged
	id    []byte
	at    place
}

func scanSalvaged(row scanner) (*salvagedRow, error) {
	r := &salvagedRow{}
	e := &r.found.Envelope
	err := row.Scan(&r.n, &r.found.SignerDER, &e.KeyID, &e.Sig, &e.PayloadType, &e.Payload, &r.id, &r.at.at, &r.at.size)
	return r, err
}

// whole reads what the row has elsewhere.
func (s *Salvage) whole(r *salvagedRow) (*notary.Salvaged, error) {
	if r.at.at.Valid {
		payload, err := s.payloads.load(r.id, r.at)
		if err != nil {
			return nil, err
		}
		r.found.Envelope.Payload = payload
	}
	return &r.found, nil
}

// maxSalvageProblems bounds what is said of single statements.
const maxSalvageProblems = 100

// farthest bounds the row numbers that a scan looks for behind a damaged page.
const farthest = int64(1) << 40

// scan reads the table from end to end. At a damaged page it looks for the next row
// that can be read.
func (s *Salvage) scan(ctx context.Context) error {
	for after := int64(0); after < farthest; {
		last, err := s.rows(ctx, after)
		if err == nil {
			return ctx.Err()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.Problems = append(s.Problems, fmt.Sprintf("table statements: reading stopped behind row %d: %v", last, err))
		// The page ends somewhere above: doubled steps find a row behind it,
		// halves the first one.
		bad, step := last, int64(1)
		for bad+step < farthest && !s.readable(ctx, bad+step) {
			step *= 2
		}
		good := bad + step
		for bad+1 < good {
			if mid := bad + (good-bad)/2; s.readable(ctx, mid) {
				good = mid
			} else {
				bad = mid
			}
		}
		after = good
	}
	return nil
}

// readable tells whether the first row above after can be read.
func (s *Salvage) readable(ctx context.Context, after int64) bool {
	_, err := scanSalvaged(s.db.QueryRowContext(ctx, sqlSalvage+`n > ? ORDER BY n LIMIT 1`, after))
	return err == nil || errors.Is(err, sql.ErrNoRows)
}

// rows reads all rows above after, and returns the last one that it read.
func (s *Salvage) rows(ctx context.Context, after int64) (last int64, err error) {
	last = after
	rows, err := s.db.QueryContext(ctx, sqlSalvage+`n > ? ORDER BY n`, after)
	if err != nil {
		return last, err
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scanSalvaged(rows)
		if err != nil {
			return last, err
		}
		last = r.n
		found, err := s.whole(r)
		if err != nil {
			s.problem(fmt.Sprintf("row %d of table statements: %v", r.n, err))
			continue
		}
		// A key that cannot be parsed gives a leaf that no log has.
		leaf := receipt.LeafHash(receipt.Entry(&found.Envelope, &trial.PublicKey{DER: found.SignerDER}))
		s.leaves[leaf] = r.n
	}
	return last, rows.Err()
}

// problem notes one of many alike.
func (s *Salvage) problem(text string) {
	if len(s.Problems) < maxSalvageProblems {
		s.Problems = append(s.Problems, text)
	}
}

// Find returns the statement that gives a leaf hash, or notary.ErrNotFound.
func (s *Salvage) Find(ctx context.Context, leaf receipt.Hash) (*notary.Salvaged, error) {
	n, ok := s.leaves[leaf]
	if !ok {
		return nil, notary.ErrNotFound
	}
	r, err := scanSalvaged(s.db.QueryRowContext(ctx, sqlSalvage+`n = ?`, n))
	var found *notary.Salvaged
	if err == nil {
		found, err = s.whole(r)
	}
	if err != nil {
		return nil, fmt.Errorf("reading row %d of table statements again: %w", n, err)
	}
	return found, nil
}

// Pending returns the statements that wait for their entry, as far as they can be
// read.
func (s *Salvage) Pending(ctx context.Context) []*notary.Salvaged {
	rows, err := s.db.QueryContext(ctx, sqlSalvage+`n IN (SELECT n FROM pending) ORDER BY n`)
	if err != nil {
		s.Problems = append(s.Problems, fmt.Sprintf("table pending: %v", err))
		return nil
	}
	defer rows.Close()
	var pending []*notary.Salvaged
	for rows.Next() {
		r, err := scanSalvaged(rows)
		if err != nil {
			s.Problems = append(s.Problems, fmt.Sprintf("table pending: %v", err))
			return pending
		}
		found, err := s.whole(r)
		if err != nil {
			s.problem(fmt.Sprintf("row %d of table pending: %v", r.n, err))
			continue
		}
		pending = append(pending, found)
	}
	if err := rows.Err(); err != nil {
		s.Problems = append(s.Problems, fmt.Sprintf("table pending: %v", err))
	}
	return pending
}

// Mark returns the high-water mark; ok is false where there is none.
func (s *Salvage) Mark(ctx context.Context) (m notary.Mark, ok bool, err error) {
	get, err := s.db.PrepareContext(ctx, sqlGetMark)
	if err != nil {
		return m, false, err
	}
	defer get.Close()
	last, ok, err := readStep(ctx, get)
	return last.mark, ok, err
}

// The columns of the tables that are copied as they are.
var copiedColumns = map[string]string{
	"users":       "name, token, cert_name",
	"grants":      "user, pos, role, organisation, trial",
	"grant_sites": "user, pos, site",
	"refusals":    "n, time, request, user, address, method, reason, statement",
}

// CopyUsers copies the users with their grants into a new store, or none of them.
func (s *Salvage) CopyUsers(ctx context.Context, to *Store) error {
	return s.copy(ctx, to, "users", "grants", "grant_sites")
}

// CopyRefusals copies what was refused.
func (s *Salvage) CopyRefusals(ctx context.Context, to *Store) error {
	return s.copy(ctx, to, "refusals")
}

func (s *Salvage) copy(ctx context.Context, to *Store, tables ...string) error {
	// All is read first: damage of the one file is none of the other's.
	read := make([][][]any, len(tables))
	inserts := make([]string, len(tables))
	for i, table := range tables {
		columns := copiedColumns[table]
		rows, err := s.table(ctx, table, columns)
		if err != nil {
			return fmt.Errorf("reading table %s: %w", table, err)
		}
		read[i] = rows
		inserts[i] = fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s)", table, columns, strings.Repeat(", ?", strings.Count(columns, ",")))
	}
	return to.inWrite(ctx, "copying "+strings.Join(tables, ", "), func(ctx context.Context, tx *sql.Tx) error {
		for i, rows := range read {
			for _, row := range rows {
				if _, err := tx.ExecContext(ctx, inserts[i], row...); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (s *Salvage) table(ctx context.Context, name, columns string) ([][]any, error) {
	rows, err := s.db.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s NOT INDEXED", columns, name))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all [][]any
	for rows.Next() {
		row := make([]any, strings.Count(columns, ",")+1)
		to := make([]any, len(row))
		for i := range row {
			to[i] = &row[i]
		}
		if err := rows.Scan(to...); err != nil {
			return all, err
		}
		for i, value := range row {
			if b, ok := value.([]byte); ok {
				row[i] = present(b) // an empty blob is read as nil bytes
			}
		}
		all = append(all, row)
	}
	return all, rows.Err()
}
