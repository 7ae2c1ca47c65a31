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

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

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

// Check implements notary.Store. It reads every page and every row: SQLite's own
// structure, our tables against each other, and each statement's bytes against the
// hashes under which it is kept. What it finds is a *Damage; any other error means
// that it could not finish.
//
// It reads in pieces, each over one moment of the file, because the write-ahead log
// cannot be emptied while one moment is read. The structure of a table and its
// indexes is one piece, of a gigabyte in a second or two; where the context has no
// share to keep to, the structure of the whole file is one, which also finds pages
// that belong to no table.
func (s *Store) Check(ctx context.Context) error {
	var problems []string
	checks := append(slices.Clone(rowChecks), rangeCheck{"statements", "n", 500, s.checkStatements})
	err := s.checkStructure(ctx, &problems)
	for i := 0; i < len(checks) && err == nil; i++ {
		err = s.checkRows(ctx, checks[i], &problems)
	}
	if err == nil {
		_, err = s.piece(ctx, &problems, func(tx *sql.Tx) ([]string, error) { return s.checkDropped(ctx, tx) })
	}
	if err == nil {
		err = s.checkLookups(ctx, &problems)
	}
	if err != nil {
		return s.failed("checking the store", err)
	}
	if len(problems) > 0 {
		return &Damage{Path: s.path, Problems: problems}
	}
	return nil
}

// piece runs one piece of a check and adds what it found. ok is false where reading
// stopped at damage, which is a problem like any other: the next check may still
// find what this one could not reach.
func (s *Store) piece(ctx context.Context, problems *[]string, read func(*sql.Tx) ([]string, error)) (ok bool, err error) {
	if err := notary.Pause(ctx); err != nil {
		return false, err
	}
	var found []string
	err = s.inRead(ctx, "", func(tx *sql.Tx) error {
		var err error
		found, err = read(tx)
		return err
	})
	*problems = append(*problems, found...)
	// A query of ours that is wrong met a value that is: JSON that is none.
	var foreign *sqlite.Error
	badValue := errors.As(err, &foreign) && foreign.Code()&0xff == sqlite3.SQLITE_ERROR
	if err == nil || !errors.Is(err, notary.ErrStoreDamaged) && !badValue {
		return err == nil, err
	}
	if stopped := "reading stopped" + err.Error(); !slices.Contains(*problems, stopped) {
		*problems = append(*problems, stopped)
	}
	return false, nil
}

// checkStructure runs SQLite's own checks.
func (s *Store) checkStructure(ctx context.Context, problems *[]string) error {
	pieces := []string{""} // everything at once
	if notary.HasShare(ctx) {
		_, err := s.piece(ctx, problems, func(tx *sql.Tx) (_ []string, err error) {
			pieces, err = texts(ctx, tx, "SELECT name FROM sqlite_schema WHERE type = 'table'")
			return nil, err
		})
		if err != nil {
			return err
		}
	}
	for _, check := range []func(context.Context, *sql.Tx, string) ([]string, error){checkPages, checkReferences} {
		for _, table := range pieces {
			if _, err := s.piece(ctx, problems, func(tx *sql.Tx) ([]string, error) { return check(ctx, tx, table) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// rangeCheck reads a table by ranges of size of a number column.
type rangeCheck struct {
	table, column string
	size          int64
	read          func(ctx context.Context, tx *sql.Tx, above, to int64) ([]string, error)
}

// checkRows runs one check over its table, until it found enough.
func (s *Store) checkRows(ctx context.Context, c rangeCheck, problems *[]string) error {
	var found []string
	defer func() { *problems = append(*problems, found...) }()
	for above, last := int64(-1), int64(0); above < last && len(found) < maxProblems; above += c.size {
		ok, err := s.piece(ctx, &found, func(tx *sql.Tx) ([]string, error) {
			// Again for each piece: rows are added meanwhile.
			row := tx.QueryRowContext(ctx, fmt.Sprintf("SELECT coalesce(max(%s), -1) FROM %s", c.column, c.table))
			if err := row.Scan(&last); err != nil {
				return nil, err
			}
			return c.read(ctx, tx, above, above+c.size)
		})
		if err != nil || !ok {
			return err
		}
	}
	return nil
}

// treeNumber is how SQLite names a table: by the page at which it begins.
var treeNumber = regexp.MustCompile(`\bTree (\d+)\b`)

// checkPages runs SQLite's own check, of one table with its indexes or of
// everything, and adds the names of tables. An error comes after what was found
// before it.
func checkPages(ctx context.Context, tx *sql.Tx, table string) ([]string, error) {
	what := fmt.Sprint(maxProblems)
	if table != "" {
		what = "'" + table + "'"
	}
	said, stopped := texts(ctx, tx, "PRAGMA integrity_check("+what+")")
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

// checkReferences finds rows whose parent is missing, of one table or of all.
func checkReferences(ctx context.Context, tx *sql.Tx, table string) ([]string, error) {
	of := ""
	if table != "" {
		of = "('" + table + "')"
	}
	return texts(ctx, tx, fmt.Sprintf(`SELECT 'table ' || "table" || ': row ' || coalesce(rowid, '?') ||
		' refers to a row that table ' || parent || ' lacks' FROM pragma_foreign_key_check%s LIMIT %d`, of, maxProblems))
}

// rowChecks each select what is wrong, in words, of the rows above ?1 up to ?2.
var rowChecks = []rangeCheck{
	{"statements", "n", 5000, selects(`SELECT 'statement ' || lower(hex(s.id)) || ': neither pending nor placed, or both' FROM statements s
		WHERE s.n > ?1 AND s.n <= ?2
			AND EXISTS (SELECT 1 FROM pending p WHERE p.n = s.n) = EXISTS (SELECT 1 FROM entries e WHERE e.n = s.n)`)},
	{"entries", "idx", 5000, selects(`SELECT 'entry ' || e.idx || ': differs from its statement ' || lower(hex(s.id))
		FROM entries e CROSS JOIN statements s ON s.n = e.n
		WHERE e.idx > ?1 AND e.idx <= ?2
			AND (e.charter, e.site, e.kind, e.authority) IS NOT (s.charter, s.site, s.kind, s.authority)`)},
	{"entries", "idx", 5000, selects(`SELECT 'entry ' || idx || ': its log time is before that of the entry below it'
		FROM (SELECT idx, log_time, lag(log_time) OVER (ORDER BY idx) AS below FROM entries
			WHERE idx >= (SELECT coalesce(max(idx), -1) FROM entries WHERE idx <= ?1) AND idx <= ?2)
		WHERE below IS NOT NULL AND (log_time IS NULL OR log_time < below)`)},
}

// selects is a rangeCheck's read that is one query.
func selects(query string) func(context.Context, *sql.Tx, int64, int64) ([]string, error) {
	return func(ctx context.Context, tx *sql.Tx, above, to int64) ([]string, error) {
		return texts(ctx, tx, query+fmt.Sprintf(" LIMIT %d", maxProblems), above, to)
	}
}

// checkStatements compares each statement's bytes with the hashes under which it
// is kept. SQLite has no checksums: a bit that flips inside a text is found here
// or never.
func (s *Store) checkStatements(ctx context.Context, tx *sql.Tx, above, to int64) ([]string, error) {
	rows, err := tx.QueryContext(ctx, `SELECT id, leaf, key_id, signer, sig, payload_type, payload, payload_at, payload_size FROM statements
		WHERE n > ? AND n <= ? ORDER BY n`, above, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var problems []string
	for rows.Next() && len(problems) < maxProblems {
		var id, leaf, keyID []byte
		var key trial.PublicKey
		var env trial.Envelope
		var at place
		if err := rows.Scan(&id, &leaf, &keyID, &key.DER, &env.Sig, &env.PayloadType, &env.Payload, &at.at, &at.size); err != nil {
			return problems, err
		}
		if env.Payload, err = s.payload(id, env.Payload, at); err != nil {
			switch {
			case errors.Is(err, sql.ErrNoRows): // dropped meanwhile
			case errors.Is(err, notary.ErrStoreDamaged):
				problems = append(problems, plainDamage(err))
			default:
				return problems, err
			}
			continue
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

// plainDamage is damage in the words of a problem.
func plainDamage(err error) string {
	return strings.TrimPrefix(err.Error(), notary.ErrStoreDamaged.Error()+": ")
}

// texts returns the first column of a query.
func texts(ctx context.Context, tx *sql.Tx, query string, args ...any) ([]string, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
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
