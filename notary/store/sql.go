package store

import (
	"context"
	"database/sql"
	"fmt"
)

// writeStatements run on the writer, always inside a transaction.
type writeStatements struct {
	lastNumber, putStatement, putSubject, putRegistry, putPending *sql.Stmt
	whereIs, putEntry, putFound, dropPending, setTime             *sql.Stmt
	putEntries, putAllFound, dropAllPending                       *sql.Stmt
	dropFound, dropEntry, dropStatement                           *sql.Stmt
	getMark, setMark, setMeta                                     *sql.Stmt
	putRefusal, pruneRefusals                                     *sql.Stmt
}

const (
	sqlLastNumber   = `SELECT coalesce(max(n), 0) FROM statements`
	sqlPutStatement = `INSERT INTO statements (id, leaf, key_id, charter, site, kind, version, supersedes,
		authority, signer, key_hint, sig, payload_type, payload)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`
	sqlPutSubject  = `INSERT INTO subjects (n, pos, algorithm, name, digest) VALUES (?, ?, ?, ?, ?)`
	sqlPutRegistry = `INSERT INTO registry (n, pos, number) VALUES (?, ?, ?)`
	sqlPutPending  = `INSERT INTO pending (n) SELECT n FROM statements WHERE n > ?`

	sqlWhereIs  = `SELECT s.n, e.idx FROM statements s LEFT JOIN entries e ON e.n = s.n WHERE s.id = ?`
	sqlPutEntry = `INSERT INTO entries (idx, n, log_time, charter, site, kind, authority)
		SELECT ?, n, ?, charter, site, kind, authority FROM statements WHERE n = ? ON CONFLICT (idx) DO NOTHING`
	sqlPutFound = `INSERT OR IGNORE INTO found (digest, charter, idx)
		SELECT b.digest, s.charter, ? FROM statements s CROSS JOIN subjects b ON b.n = s.n
		WHERE s.n = ? AND b.algorithm = 'sha256'`
	// A batch comes as [[index, n, log time], …].
	sqlPutEntries = `INSERT INTO entries (idx, n, log_time, charter, site, kind, authority)
		SELECT j.value ->> 0, s.n, j.value ->> 2, s.charter, s.site, s.kind, s.authority
		FROM json_each(?) j CROSS JOIN statements s ON s.n = j.value ->> 1 WHERE true ON CONFLICT (idx) DO NOTHING`
	sqlPutAllFound = `INSERT OR IGNORE INTO found (digest, charter, idx)
		SELECT b.digest, s.charter, j.value ->> 0
		FROM json_each(?) j CROSS JOIN statements s ON s.n = j.value ->> 1 CROSS JOIN subjects b ON b.n = s.n
		WHERE b.algorithm = 'sha256'`
	sqlDropAllPending = `DELETE FROM pending WHERE n IN (SELECT value ->> 1 FROM json_each(?))`

	sqlDropPending = `DELETE FROM pending WHERE n = ?`
	sqlSetTime     = `UPDATE entries SET log_time = ? WHERE idx = ?`
	sqlDropFound   = `DELETE FROM found WHERE (digest, charter, idx) IN
		(SELECT b.digest, s.charter, ?2 FROM statements s CROSS JOIN subjects b ON b.n = s.n WHERE s.n = ?1)`
	sqlDropEntry     = `DELETE FROM entries WHERE idx = ?`
	sqlDropStatement = `DELETE FROM statements WHERE n = ?`

	sqlGetMark = `SELECT size, root, previous_size, previous_root FROM mark WHERE one = 1`
	sqlSetMark = `INSERT OR REPLACE INTO mark (one, size, root, previous_size, previous_root) VALUES (1, ?, ?, ?, ?)`
	sqlGetMeta = `SELECT value FROM meta WHERE name = ?`
	sqlSetMeta = `INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`

	sqlPutRefusal = `INSERT INTO refusals (time, request, user, address, method, reason, statement)
		VALUES (?, ?, ?, ?, ?, ?, ?)`
	sqlPruneRefusals = `DELETE FROM refusals WHERE n <= (SELECT max(n) FROM refusals) - ?`
)

// readStatements run on the readers.
type readStatements struct {
	get, byLeaf, pending, authority, markBefore, trials *sql.Stmt
	getMark, getMeta, byIndexes, firstSince, charters   *sql.Stmt
	users, userByToken, userByCert, refusals            *sql.Stmt
	paths                                               [pathCount]*sql.Stmt
}

// recordColumns are what scanRecord reads. Subjects and numbers come as JSON, so
// that a record is one row and one moment.
const recordColumns = `SELECT s.id, s.leaf, s.key_id, s.charter, s.site, s.kind, s.version, s.supersedes, s.authority,
	s.signer, s.key_hint, s.sig, s.payload_type, s.payload, e.idx, e.log_time,
	(SELECT json_group_array(json_array(b.pos, b.algorithm, b.name, lower(hex(b.digest))) ORDER BY b.pos)
		FROM subjects b WHERE b.n = s.n),
	(SELECT json_group_array(r.number ORDER BY r.pos) FROM registry r WHERE r.n = s.n)`

const (
	sqlGet    = recordColumns + ` FROM statements s LEFT JOIN entries e ON e.n = s.n WHERE s.id = ?`
	sqlByLeaf = recordColumns + ` FROM statements s LEFT JOIN entries e ON e.n = s.n WHERE s.leaf = ?`
	// By row number: the order in which they were stored.
	sqlPending = recordColumns + ` FROM pending p CROSS JOIN statements s ON s.n = p.n
		LEFT JOIN entries e ON e.n = s.n ORDER BY p.n`
	sqlAuthority = recordColumns + ` FROM entries e INDEXED BY entries_authority CROSS JOIN statements s ON s.n = e.n
		WHERE e.charter = ? AND e.authority = 1 ORDER BY e.idx`
	sqlMarkBefore = recordColumns + ` FROM entries e INDEXED BY entries_trial_kind CROSS JOIN statements s ON s.n = e.n
		WHERE e.charter = x'' AND e.kind = 'time-mark' AND e.idx < ? ORDER BY e.idx DESC LIMIT 1`
	sqlByIndexes = recordColumns + ` FROM json_each(?) j CROSS JOIN entries e ON e.idx = j.value
		CROSS JOIN statements s ON s.n = e.n`
	sqlTrials = `SELECT e.charter FROM registry r CROSS JOIN entries e ON e.n = r.n
		WHERE r.number = ? AND e.charter <> x'' GROUP BY e.charter ORDER BY min(e.idx)`

	sqlFirstSince = `SELECT idx FROM entries WHERE log_time >= ? ORDER BY log_time, idx LIMIT 1`
	// Each step is one search for the next larger charter: DISTINCT would read
	// the whole index.
	sqlCharters = `WITH RECURSIVE c (charter) AS (
			SELECT min(charter) FROM entries
			UNION ALL
			SELECT (SELECT min(e.charter) FROM entries e WHERE e.charter > c.charter) FROM c WHERE c.charter IS NOT NULL
		) SELECT charter FROM c WHERE charter IS NOT NULL`
)

// item is one SQL text and where its statement is kept.
type item struct {
	to    **sql.Stmt
	query string
}

func (w *writeStatements) items() []item {
	return []item{
		{&w.lastNumber, sqlLastNumber}, {&w.putStatement, sqlPutStatement}, {&w.putSubject, sqlPutSubject},
		{&w.putRegistry, sqlPutRegistry}, {&w.putPending, sqlPutPending},
		{&w.whereIs, sqlWhereIs}, {&w.putEntry, sqlPutEntry}, {&w.putFound, sqlPutFound},
		{&w.putEntries, sqlPutEntries}, {&w.putAllFound, sqlPutAllFound}, {&w.dropAllPending, sqlDropAllPending},
		{&w.dropPending, sqlDropPending}, {&w.setTime, sqlSetTime}, {&w.dropFound, sqlDropFound},
		{&w.dropEntry, sqlDropEntry}, {&w.dropStatement, sqlDropStatement},
		{&w.getMark, sqlGetMark}, {&w.setMark, sqlSetMark}, {&w.setMeta, sqlSetMeta},
		{&w.putRefusal, sqlPutRefusal}, {&w.pruneRefusals, sqlPruneRefusals},
	}
}

func (r *readStatements) items() []item {
	items := []item{
		{&r.get, sqlGet}, {&r.byLeaf, sqlByLeaf}, {&r.pending, sqlPending}, {&r.authority, sqlAuthority},
		{&r.markBefore, sqlMarkBefore}, {&r.trials, sqlTrials}, {&r.byIndexes, sqlByIndexes},
		{&r.getMark, sqlGetMark}, {&r.getMeta, sqlGetMeta}, {&r.firstSince, sqlFirstSince}, {&r.charters, sqlCharters},
		{&r.users, sqlUsers}, {&r.userByToken, sqlUserByToken}, {&r.userByCert, sqlUserByCert},
		{&r.refusals, sqlRefusals},
	}
	for p := range pathCount {
		items = append(items, item{&r.paths[p], p.query()})
	}
	return items
}

// prepare compiles every statement, so that a file which lacks a table or an
// index that one of them names is refused at open.
func (s *Store) prepare(ctx context.Context) error {
	for _, pool := range []struct {
		db    *sql.DB
		items []item
	}{{s.w, s.write.items()}, {s.r, s.read.items()}} {
		for _, i := range pool.items {
			st, err := pool.db.PrepareContext(ctx, i.query)
			if err != nil {
				return fmt.Errorf("preparing %q: %w", i.query, err)
			}
			*i.to = st
		}
	}
	return nil
}
