package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// maxProblems bounds what Check reports of each kind.
const maxProblems = 20

// Damage is what Check found. It is a notary.ErrStoreDamaged.
type Damage struct {
	Path string
	// Problems are in plain words, each naming a page, a table or a statement.
	Problems []string
}

func (d *Damage) Error() string {
	return fmt.Sprintf("%v: %s: %s", notary.ErrStoreDamaged, d.Path, strings.Join(d.Problems, "; "))
}

// Unwrap makes errors.Is find notary.ErrStoreDamaged.
func (d *Damage) Unwrap() error { return notary.ErrStoreDamaged }

// Check implements notary.Store. It reads every page and every row over one
// moment of the file: SQLite's own structure, our tables against each other, and
// each statement's bytes against the hashes under which it is kept. What it
// finds is a *Damage; any other error means that it could not finish. Writes go
// on meanwhile, and the write-ahead log cannot be emptied until it ends.
func (s *Store) Check(ctx context.Context) error {
	var problems []string
	err := s.inRead(ctx, "checking the store", func(tx *sql.Tx) error {
		for _, check := range []func(context.Context, *sql.Tx) ([]string, error){
			checkPages, checkReferences, checkTables, checkStatements,
		} {
			found, err := check(ctx, tx)
			problems = append(problems, found...)
			if err == nil {
				continue
			}
			if !errors.Is(s.failed("", err), notary.ErrStoreDamaged) {
				return err
			}
			// The next check may still find what this one could not reach.
			if stopped := "reading stopped: " + err.Error(); !slices.Contains(problems, stopped) {
				problems = append(problems, stopped)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return &Damage{Path: s.path, Problems: problems}
	}
	return nil
}

// treeNumber is how SQLite names a table: by the page at which it begins.
var treeNumber = regexp.MustCompile(`\bTree (\d+)\b`)

// checkPages runs SQLite's own check and adds the names of tables. An error comes
// after what was found before it.
func checkPages(ctx context.Context, tx *sql.Tx) ([]string, error) {
	said, stopped := texts(ctx, tx, fmt.Sprintf("PRAGMA integrity_check(%d)", maxProblems))
	if stopped == nil && len(said) == 1 && said[0] == "ok" {
		return nil, nil
	}
	names, err := treeNames(ctx, tx)
	if err != nil {
		return said, errors.Join(stopped, err)
	}
	var problems []string
	// The first row has several lines, below a title.
	for line := range strings.Lines(strings.Join(said, "\n")) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "***") {
			continue
		}
		problems = append(problems, treeNumber.ReplaceAllStringFunc(line, func(tree string) string {
			if name, ok := names[strings.TrimPrefix(tree, "Tree ")]; ok {
				return tree + " (" + name + ")"
			}
			return tree
		}))
	}
	return problems, stopped
}

// treeNames returns the name of each table and index by its first page.
func treeNames(ctx context.Context, tx *sql.Tx) (map[string]string, error) {
	rows, err := tx.QueryContext(ctx, "SELECT rootpage, name FROM sqlite_schema WHERE rootpage > 0")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names := make(map[string]string)
	for rows.Next() {
		var page, name string
		if err := rows.Scan(&page, &name); err != nil {
			return nil, err
		}
		names[page] = name
	}
	return names, rows.Err()
}

// checkReferences finds rows whose parent is missing.
func checkReferences(ctx context.Context, tx *sql.Tx) ([]string, error) {
	return texts(ctx, tx, fmt.Sprintf(`SELECT 'table ' || "table" || ': row ' || coalesce(rowid, '?') ||
		' refers to a row that table ' || parent || ' lacks' FROM pragma_foreign_key_check LIMIT %d`, maxProblems))
}

// tableChecks each select what is wrong, in words.
var tableChecks = []string{
	`SELECT 'statement ' || lower(hex(s.id)) || ': neither pending nor placed, or both' FROM statements s
		WHERE EXISTS (SELECT 1 FROM pending p WHERE p.n = s.n) = EXISTS (SELECT 1 FROM entries e WHERE e.n = s.n)`,
	`SELECT 'entry ' || e.idx || ': differs from its statement ' || lower(hex(s.id))
		FROM entries e CROSS JOIN statements s ON s.n = e.n
		WHERE (e.charter, e.site, e.kind, e.authority) IS NOT (s.charter, s.site, s.kind, s.authority)`,
	`SELECT 'entry ' || idx || ': its log time is before that of the entry below it'
		FROM (SELECT idx, log_time, lag(log_time) OVER (ORDER BY idx) AS below FROM entries)
		WHERE below IS NOT NULL AND (log_time IS NULL OR log_time < below)`,
	`SELECT 'entry ' || e.idx || ': not found by the digest of its subject ' || b.pos
		FROM entries e CROSS JOIN subjects b ON b.n = e.n
		WHERE b.algorithm = 'sha256'
			AND NOT EXISTS (SELECT 1 FROM found f WHERE (f.digest, f.charter, f.idx) = (b.digest, e.charter, e.idx))`,
	`SELECT 'entry ' || f.idx || ': found by a digest that it does not have' FROM found f
		WHERE NOT EXISTS (SELECT 1 FROM entries e CROSS JOIN subjects b ON b.n = e.n
			WHERE e.idx = f.idx AND e.charter = f.charter AND b.digest = f.digest AND b.algorithm = 'sha256')`,
}

// checkTables compares our tables with each other.
func checkTables(ctx context.Context, tx *sql.Tx) ([]string, error) {
	var problems []string
	for _, query := range tableChecks {
		found, err := texts(ctx, tx, query+fmt.Sprintf(" LIMIT %d", maxProblems))
		problems = append(problems, found...)
		if err != nil {
			return problems, err
		}
	}
	return problems, nil
}

// checkStatements compares each statement's bytes with the hashes under which it
// is kept. SQLite has no checksums: a bit that flips inside a text is found here
// or never.
func checkStatements(ctx context.Context, tx *sql.Tx) ([]string, error) {
	rows, err := tx.QueryContext(ctx, `SELECT id, leaf, key_id, signer, sig, payload_type, payload FROM statements`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var problems []string
	for rows.Next() && len(problems) < maxProblems {
		var id, leaf, keyID []byte
		var key trial.PublicKey
		var env trial.Envelope
		if err := rows.Scan(&id, &leaf, &keyID, &key.DER, &env.Sig, &env.PayloadType, &env.Payload); err != nil {
			return problems, err
		}
		entry := receipt.LeafHash(receipt.Entry(&env, &key))
		for _, hash := range []struct {
			what string
			want []byte
			got  [32]byte
		}{
			{"its payload", id, sha256.Sum256(env.Payload)},
			{"its key", keyID, sha256.Sum256(key.DER)},
			{"its log entry", leaf, entry},
		} {
			if !bytes.Equal(hash.got[:], hash.want) {
				problems = append(problems, fmt.Sprintf("statement %x: %s hashes to %x, want %x", id, hash.what, hash.got, hash.want))
			}
		}
	}
	return problems, rows.Err()
}

// texts returns the first column of a query.
func texts(ctx context.Context, tx *sql.Tx, query string) ([]string, error) {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return all, err
		}
		all = append(all, text)
	}
	return all, rows.Err()
}

// checkSchema compares the file's tables and indexes with what the migrations
// make. A doctored view or trigger could change what our statements do.
func (s *Store) checkSchema(ctx context.Context) error {
	fresh, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return err
	}
	defer fresh.Close()
	fresh.SetMaxOpenConns(1) // each connection has a memory of its own
	if err := migrate(ctx, fresh, migrations); err != nil {
		return err
	}
	want, err := schemaOf(ctx, fresh)
	if err != nil {
		return err
	}
	got, err := schemaOf(ctx, s.w)
	if err != nil {
		return err
	}
	for name, text := range want {
		if got[name] != text {
			return fmt.Errorf("%w: %s is missing or changed", notary.ErrStoreDamaged, name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			return fmt.Errorf("%w: %s is not ours", notary.ErrStoreDamaged, name)
		}
	}
	return nil
}

// schemaOf returns the text of every table, index, view and trigger by its name.
func schemaOf(ctx context.Context, db *sql.DB) (map[string]string, error) {
	rows, err := db.QueryContext(ctx, "SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	schema := make(map[string]string)
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return nil, err
		}
		schema[name] = text
	}
	return schema, rows.Err()
}
