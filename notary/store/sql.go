package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// writeStatements run on the writer, always inside a transaction.
type writeStatements struct {
	lastNumber, putStatement, putRegistry, putPending *sql.Stmt
	whereIs, putEntry, putNewEntry, setTime           *sql.Stmt
	putNewEntries                                     *sql.Stmt
	putPiece, putRun, pieces, dropPieces, dropRun     *sql.Stmt
	dropPending, dropEntry, dropStatement, putDropped *sql.Stmt
	getMark, setMark, setMeta                         *sql.Stmt
	putRefusal, pruneRefusals                         *sql.Stmt
}

const (
	sqlLastNumber   = `SELECT coalesce(max(n), 0) FROM statements`
	sqlPutStatement = `INSERT INTO statements (id, leaf, key_id, charter, site, kind, version, supersedes,
		authority, signer, key_hint, sig, payload_type, payload_at, payload_size, payload)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`
	sqlPutRegistry = `INSERT INTO registry (n, pos, number) VALUES (?, ?, ?)`
	sqlPutPending  = `INSERT INTO pending (n) SELECT n FROM statements WHERE n > ?`

	sqlWhereIs  = `SELECT s.n, e.idx FROM statements s LEFT JOIN entries e ON e.n = s.n WHERE s.id = ?`
	sqlPutEntry = `INSERT INTO entries (idx, n, log_time, charter, site, kind, authority)
		SELECT ?, n, ?, charter, site, kind, authority FROM statements WHERE n = ? ON CONFLICT (idx) DO NOTHING`
	// What a new statement has comes from memory: reading its row again would be
	// a third of the work.
	sqlPutNewEntry = `INSERT INTO entries (idx, n, log_time, charter, site, kind, authority)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (idx) DO NOTHING`
	sqlPutPiece   = `INSERT INTO pieces (piece, pairs) VALUES (?, ?)`
	sqlPutRun     = `INSERT INTO runs (run, kind, level, upto, first) VALUES (?, ?, ?, ?, ?)`
	sqlPieces     = `SELECT pairs FROM pieces WHERE piece BETWEEN ? AND ? ORDER BY piece`
	sqlDropPieces = `DELETE FROM pieces WHERE piece BETWEEN ? AND ?`
	sqlDropRun    = `DELETE FROM runs WHERE run = ?`

	sqlDropPending   = `DELETE FROM pending WHERE n BETWEEN ? AND ?`
	sqlSetTime       = `UPDATE entries SET log_time = ? WHERE idx = ?`
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

const (
	// entriesAtOnce is how many new entries one statement has: what SQLite and its
	// driver do for each statement takes about as long as a row.
	entriesAtOnce  = 64
	entryColumns   = 7
	newEntryValues = `(?, ?, ?, ?, ?, ?, ?)`
)

var sqlPutNewEntries = strings.Replace(sqlPutNewEntry, newEntryValues,
	strings.Repeat(newEntryValues+", ", entriesAtOnce-1)+newEntryValues, 1)

// readStatements run on the readers.
type readStatements struct {
	get, byNumber, pending, authority, markBefore, trials *sql.Stmt
	countTrial                                            *sql.Stmt
	newestRun, piece                                      *sql.Stmt
	getMark, getMeta, byIndexes, payloadAt                *sql.Stmt
	timeFrom, lastIndex, charters, sites, kinds           *sql.Stmt
	users, userByToken, userByCert, refusals              *sql.Stmt
	paths                                                 [pathCount]*sql.Stmt
}

// recordColumns are what scanRecord reads. Numbers come as JSON, so that a record
// is one row and one moment.
const recordColumns = `SELECT s.id, s.leaf, s.key_id, s.charter, s.site, s.kind, s.version, s.supersedes, s.authority,
	s.signer, s.key_hint, s.sig, s.payload_type, s.payload, s.payload_at, s.payload_size, e.idx, e.log_time,
	(SELECT json_group_array(r.number ORDER BY r.pos) FROM registry r WHERE r.n = s.n)`

const (
	sqlGet       = recordColumns + ` FROM statements s LEFT JOIN entries e ON e.n = s.n WHERE s.id = ?`
	sqlByNumber  = recordColumns + ` FROM statements s LEFT JOIN entries e ON e.n = s.n WHERE s.n = ?`
	sqlNewestRun = `SELECT coalesce((SELECT max(run) FROM runs), 0), coalesce((SELECT max(n) FROM statements), 0)`
	sqlPiece     = `SELECT pairs FROM pieces WHERE piece = ?`
	// By row number: the order in which they were stored.
	sqlPending = recordColumns + ` FROM pending p CROSS JOIN statements s ON s.n = p.n
		LEFT JOIN entries e ON e.n = s.n ORDER BY p.n`
	sqlAuthority = recordColumns + ` FROM entries e INDEXED BY entries_authority CROSS JOIN statements s ON s.n = e.n
		WHERE e.charter = ? AND e.authority = 1 ORDER BY e.idx`
	sqlMarkBefore = recordColumns + ` FROM entries e INDEXED BY entries_trial CROSS JOIN statements s ON s.n = e.n
		WHERE e.charter = x'' AND e.kind = 'time-mark' AND e.idx < ? ORDER BY e.idx DESC LIMIT 1`
	// The index alone answers it: no row is read.
	sqlCountTrial = `SELECT count(*) FROM entries e INDEXED BY entries_trial WHERE e.charter = ? AND e.idx > ? AND e.idx < ?`
	sqlByIndexes  = recordColumns + ` FROM json_each(?) j CROSS JOIN entries e ON e.idx = j.value
		CROSS JOIN statements s ON s.n = e.n`
	sqlPayloadAt = `SELECT s.id, s.payload, s.payload_at, s.payload_size FROM entries e CROSS JOIN statements s ON s.n = e.n WHERE e.idx = ?`
	sqlTrials    = `SELECT e.charter FROM registry r CROSS JOIN entries e ON e.n = r.n
		WHERE r.number = ? AND e.charter <> x'' GROUP BY e.charter ORDER BY min(e.idx)`

	sqlTimeFrom  = `SELECT idx, log_time FROM entries WHERE idx >= ? ORDER BY idx LIMIT 1`
	sqlLastIndex = `SELECT coalesce(max(idx), -1) FROM entries`
	// Each step is one search for the next larger charter: DISTINCT would read
	// the whole index.
	sqlCharters = `WITH RECURSIVE c (charter) AS (
			SELECT min(charter) FROM entries
			UNION ALL
			SELECT (SELECT min(e.charter) FROM entries e WHERE e.charter > c.charter) FROM c WHERE c.charter IS NOT NULL
		) SELECT charter FROM c WHERE charter IS NOT NULL`
	sqlSites = `WITH RECURSIVE c (site) AS (
			SELECT min(site) FROM entries INDEXED BY entries_trial_site_kind WHERE charter = ?1
			UNION ALL
			SELECT (SELECT min(e.site) FROM entries e INDEXED BY entries_trial_site_kind
				WHERE e.charter = ?1 AND e.site > c.site) FROM c WHERE c.site IS NOT NULL
		) SELECT site FROM c WHERE site IS NOT NULL`
	sqlKinds = `WITH RECURSIVE c (kind) AS (
			SELECT min(kind) FROM entries INDEXED BY entries_trial_site_kind WHERE charter = ?1 AND site = ?2
			UNION ALL
			SELECT (SELECT min(e.kind) FROM entries e INDEXED BY entries_trial_site_kind
				WHERE e.charter = ?1 AND e.site = ?2 AND e.kind > c.kind) FROM c WHERE c.kind IS NOT NULL
		) SELECT kind FROM c WHERE kind IS NOT NULL`
)

// item is one SQL text and where its statement is kept.
type item struct {
	to    **sql.Stmt
	query string
}

func (w *writeStatements) items() []item {
	return []item{
		{&w.lastNumber, sqlLastNumber}, {&w.putStatement, sqlPutStatement},
		{&w.putRegistry, sqlPutRegistry}, {&w.putPending, sqlPutPending},
		{&w.whereIs, sqlWhereIs}, {&w.putEntry, sqlPutEntry}, {&w.putNewEntry, sqlPutNewEntry}, {&w.putNewEntries, sqlPutNewEntries},
		{&w.putPiece, sqlPutPiece}, {&w.putRun, sqlPutRun}, {&w.pieces, sqlPieces},
		{&w.dropPieces, sqlDropPieces}, {&w.dropRun, sqlDropRun},
		{&w.dropPending, sqlDropPending}, {&w.setTime, sqlSetTime},
		{&w.dropEntry, sqlDropEntry}, {&w.dropStatement, sqlDropStatement}, {&w.putDropped, sqlPutDropped},
		{&w.getMark, sqlGetMark}, {&w.setMark, sqlSetMark}, {&w.setMeta, sqlSetMeta},
		{&w.putRefusal, sqlPutRefusal}, {&w.pruneRefusals, sqlPruneRefusals},
	}
}

func (r *readStatements) items() []item {
	items := []item{
		{&r.get, sqlGet}, {&r.byNumber, sqlByNumber}, {&r.newestRun, sqlNewestRun}, {&r.piece, sqlPiece}, {&r.pending, sqlPending}, {&r.authority, sqlAuthority},
		{&r.markBefore, sqlMarkBefore}, {&r.countTrial, sqlCountTrial}, {&r.trials, sqlTrials}, {&r.byIndexes, sqlByIndexes}, {&r.payloadAt, sqlPayloadAt},
		{&r.getMark, sqlGetMark}, {&r.getMeta, sqlGetMeta}, {&r.timeFrom, sqlTimeFrom}, {&r.lastIndex, sqlLastIndex},
		{&r.charters, sqlCharters}, {&r.sites, sqlSites}, {&r.kinds, sqlKinds},
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
