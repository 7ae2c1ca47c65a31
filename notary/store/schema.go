package store

import (
	"context"
	"database/sql"
	"fmt"
)

// applicationID stands in the header of every store: "TrNo".
const applicationID = 0x54724e6f

// pageSize is SQLite's page size in bytes. On a large store nearly every row of
// an index by a hash touches a page of its own, which is written twice: small
// pages make that half as dear as 8 KiB, and hold two statements.
const pageSize = 4096

// migrations are the steps from each schema version to the next: a file of
// version n has had the first n. A step that was released is never edited.
var migrations = []string{schema1}

// schema1 holds a statement in three places, each written once:
//
//   - statements has the signed bytes and never changes, so that placing does
//     not rewrite a row of kilobytes. What its subjects are is read from the
//     payload: to have them beside it as well made a statement about a folder
//     twice as large. A large payload is in a file beside the database, and the row
//     says where: see payloads. Of those that were dropped, dropped says which parts
//     of that file are still to be overwritten;
//   - pending has the statements that are not placed;
//   - entries has the placed ones in log order, with copies of the columns that
//     lists select by. The index in the log is the row's number, so each index
//     below ends in it and gives log order without sorting.
//
// Every index is paid for by every statement. There is none by site or by kind
// alone, nor by time: lists merge a trial's few sites or kinds, and the log time
// never falls along the log.
//
// runs and pieces lead from a leaf hash and from a file's SHA-256 to statements:
// see pair. An absent ID is an empty blob, a time is in microseconds since 1970
// UTC. unread has the statements whose payloads could not be read when their files'
// digests were to be written to a run.
//
// A number is never given twice, also after the statement that had it was dropped:
// a run covers all numbers up to its highest, and what came later under one of them
// would not be found after the next start.
const schema1 = `
CREATE TABLE statements (
	n            INTEGER PRIMARY KEY AUTOINCREMENT,
	id           BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
	leaf         BLOB NOT NULL CHECK (length(leaf) = 32),
	key_id       BLOB NOT NULL CHECK (length(key_id) = 32),
	charter      BLOB NOT NULL CHECK (length(charter) IN (0, 32)),
	site         TEXT NOT NULL,
	kind         TEXT NOT NULL CHECK (kind <> ''),
	version      TEXT NOT NULL,
	supersedes   BLOB NOT NULL CHECK (length(supersedes) IN (0, 32)),
	authority    INTEGER NOT NULL CHECK (authority IN (0, 1)),
	signer       BLOB NOT NULL,
	key_hint     TEXT NOT NULL,
	sig          BLOB NOT NULL,
	payload_type TEXT NOT NULL,
	payload_at   INTEGER CHECK (payload_at > 0),
	payload_size INTEGER CHECK ((payload_size IS NULL) = (payload_at IS NULL)),
	payload      BLOB NOT NULL
) STRICT;
CREATE INDEX statements_payload_at ON statements (payload_at) WHERE payload_at IS NOT NULL;

CREATE TABLE dropped (
	at   INTEGER PRIMARY KEY,
	size INTEGER NOT NULL CHECK (size > 0)
) STRICT;

CREATE TABLE registry (
	n      INTEGER NOT NULL REFERENCES statements ON DELETE CASCADE,
	pos    INTEGER NOT NULL,
	number TEXT NOT NULL,
	PRIMARY KEY (n, pos)
) STRICT, WITHOUT ROWID;
CREATE INDEX registry_number ON registry (number);

CREATE TABLE pending (
	n INTEGER PRIMARY KEY REFERENCES statements ON DELETE CASCADE
) STRICT;

CREATE TABLE entries (
	idx       INTEGER PRIMARY KEY CHECK (idx >= 0),
	n         INTEGER NOT NULL UNIQUE REFERENCES statements,
	log_time  INTEGER,
	charter   BLOB NOT NULL,
	site      TEXT NOT NULL,
	kind      TEXT NOT NULL,
	authority INTEGER NOT NULL
) STRICT;
CREATE INDEX entries_trial ON entries (charter);
CREATE INDEX entries_trial_site_kind ON entries (charter, site, kind);
CREATE INDEX entries_authority ON entries (charter) WHERE authority = 1;

CREATE TABLE runs (
	run   INTEGER PRIMARY KEY,
	kind  INTEGER NOT NULL,
	level INTEGER NOT NULL,
	upto  INTEGER NOT NULL,
	first BLOB NOT NULL CHECK (length(first) % 8 = 0)
) STRICT;

CREATE TABLE pieces (
	piece INTEGER PRIMARY KEY,
	pairs BLOB NOT NULL CHECK (length(pairs) % 16 = 0)
) STRICT;

CREATE TABLE unread (
	n INTEGER PRIMARY KEY REFERENCES statements ON DELETE CASCADE
) STRICT;

CREATE TABLE mark (
	one           INTEGER PRIMARY KEY CHECK (one = 1),
	size          INTEGER NOT NULL CHECK (size >= 0),
	root          BLOB NOT NULL CHECK (length(root) = 32),
	previous_size INTEGER NOT NULL CHECK (previous_size >= 0),
	previous_root BLOB NOT NULL CHECK (length(previous_root) IN (0, 32))
) STRICT;

CREATE TABLE meta (
	name  TEXT PRIMARY KEY,
	value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
	name      TEXT PRIMARY KEY,
	token     BLOB UNIQUE CHECK (length(token) = 32),
	cert_name TEXT UNIQUE
) STRICT, WITHOUT ROWID;

CREATE TABLE grants (
	user         TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
	pos          INTEGER NOT NULL,
	role         TEXT NOT NULL,
	organisation TEXT NOT NULL,
	trial        BLOB NOT NULL CHECK (length(trial) IN (0, 32)),
	PRIMARY KEY (user, pos)
) STRICT, WITHOUT ROWID;

CREATE TABLE grant_sites (
	user TEXT NOT NULL,
	pos  INTEGER NOT NULL,
	site TEXT NOT NULL,
	PRIMARY KEY (user, pos, site),
	FOREIGN KEY (user, pos) REFERENCES grants ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE refusals (
	n         INTEGER PRIMARY KEY,
	time      INTEGER NOT NULL,
	request   TEXT NOT NULL,
	user      TEXT NOT NULL,
	address   TEXT NOT NULL,
	method    TEXT NOT NULL,
	reason    TEXT NOT NULL,
	statement BLOB NOT NULL CHECK (length(statement) IN (0, 32))
) STRICT;
`

// migrate brings a store to the version that has every step, in one
// transaction.
func migrate(ctx context.Context, db *sql.DB, steps []string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version < 0 || version > len(steps) {
		return fmt.Errorf("%w: got schema %d, want at most %d", ErrNewerSchema, version, len(steps))
	}
	if version == len(steps) {
		return nil
	}
	for i := version; i < len(steps); i++ {
		if _, err := tx.ExecContext(ctx, steps[i]); err != nil {
			return fmt.Errorf("migrating to schema %d: %w", i+1, err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(steps))); err != nil {
		return err
	}
	return tx.Commit()
}
