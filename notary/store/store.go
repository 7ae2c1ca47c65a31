// Package store keeps the notary's statements in one SQLite file, and large
// payloads in a second one beside it: the signed bytes, the index that lists select
// by, the high-water mark of the log, the users of the API and what they were
// refused.
//
// It owns those files, and it owns the second copy of the high-water mark. It
// promises that what a write returned for survives a crash of the process and of
// the machine, that a write which failed left nothing behind, and that a
// statement which was dropped leaves no bytes in the files. A crash may leave bytes
// of a large statement whose write had not returned. It judges nothing: it stores
// what it is given, and a role or a grant means what its reader makes of it. It must
// never import a transport, a log driver or the server.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/trialnotary/trialnotary/notary"
)

// Errors of Create and Open, matched with errors.Is. A file that is missing or
// in the way is fs.ErrNotExist or fs.ErrExist.
var (
	// ErrForeign means that a file is no store of the notary.
	ErrForeign = errors.New("not a store of the notary")
	// ErrNewerSchema means that a later version of the notary wrote the file.
	ErrNewerSchema = errors.New("store of a newer version")
	// ErrOlderSchema means that an earlier version wrote a file that is opened for
	// reading only.
	ErrOlderSchema = errors.New("store of an older version")
)

// readers bounds the connections that read at a time. More would not read
// faster on the few cores that a notary has.
const readers = 8

// Store is a notary.Store over one SQLite file. All methods are safe for
// concurrent use. A context is honoured until a write begins: from then on it
// runs to its end, so that its outcome is known.
type Store struct {
	path     string
	readOnly bool
	// w is one connection: every write of the process queues for it, and other
	// processes are held off by SQLite's own lock.
	w *sql.DB
	// r are the readers. They cannot write, and each transaction sees one
	// moment of the file.
	r *sql.DB

	write writeStatements
	read  readStatements

	unplaced unplacedSet
	lookups  lookups
	payloads payloads
	// maxInRow is how many bytes a payload has at most that stands in its row.
	maxInRow int

	// maxRecent is how many statements' leaf hashes are held in memory before they
	// become a run, and what maxHeld reckons with.
	maxRecent int

	// lost is set for good by the first write whose outcome is unknown.
	lost atomic.Pointer[error]

	closing sync.Once
	closed  error
}

var _ notary.Store = (*Store)(nil)

// Path returns the absolute path of the file.
func (s *Store) Path() string { return s.path }

var readWrite = url.Values{"mode": {"rw"}}

// dsn returns the data source name of a connection. FULL makes every commit
// reach the disk before it returns; secure_delete overwrites what is deleted;
// defensive, dqs and trusted_schema keep a doctored file from running more than
// our own statements.
func dsn(path string, mode url.Values, pragmas ...string) string {
	q := url.Values{
		"_txlock":    {"immediate"},
		"_dqs":       {"0"},
		"_defensive": {"1"},
		"_error_rc":  {"1"},
		"_pragma": append([]string{
			"busy_timeout(10000)",
			"synchronous(FULL)",
			"secure_delete(ON)",
			"foreign_keys(ON)",
			"trusted_schema(OFF)",
			"cell_size_check(ON)",
			"temp_store(MEMORY)",    // nothing of a statement goes to a temporary file
			"wal_autocheckpoint(0)", // Store.checkpoint does it, and sees how it ends
			"journal_size_limit(67108864)",
		}, pragmas...),
	}
	maps.Copy(q, mode)
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: q.Encode()}
	return u.String()
}

// connect opens the two pools. Nothing is read yet.
func (s *Store) connect() error {
	mode := readWrite
	if s.readOnly {
		mode = readMode(s.path)
	}
	var err error
	if s.w, err = sql.Open("sqlite", dsn(s.path, mode, "cache_size(-65536)")); err != nil {
		return err
	}
	s.w.SetMaxOpenConns(1)
	s.w.SetMaxIdleConns(1)
	if s.r, err = sql.Open("sqlite", dsn(s.path, mode, "cache_size(-16384)", "query_only(ON)")); err != nil {
		return errors.Join(err, s.w.Close())
	}
	s.r.SetMaxOpenConns(readers)
	s.r.SetMaxIdleConns(readers)
	return nil
}

// inWrite runs fn in one durable transaction, with a context that does not end.
// It returns nil only after the transaction reached the disk; then, and before
// another write begins, it has run the functions of committed.
func (s *Store) inWrite(ctx context.Context, what string, fn func(context.Context, *sql.Tx) error, committed ...func()) error {
	conn, err := s.w.Conn(ctx) // queues for the one connection
	if err != nil {
		return s.failed(what, err)
	}
	defer conn.Close()
	if err := errors.Join(ctx.Err(), s.Err()); err != nil {
		return s.failed(what, err)
	}
	ctx = context.WithoutCancel(ctx)
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return s.lose(s.failed(what, err))
	}
	if err := fn(ctx, tx); err != nil {
		// A rollback that fails too has nothing to add: SQLite has rolled back
		// by itself, as it does on a full disk.
		_ = tx.Rollback()
		s.payloads.rolledBack()
		return s.lose(s.failed(what, err))
	}
	if err := tx.Commit(); err != nil {
		s.payloads.commitFailed()
		return s.lose(s.failed(what, err))
	}
	for _, f := range committed {
		f()
	}
	s.checkpoint(ctx, conn)
	return nil
}

// inRead runs fn over one moment of the file.
func (s *Store) inRead(ctx context.Context, what string, fn func(*sql.Tx) error) error {
	tx, err := s.r.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s.failed(what, err)
	}
	defer tx.Rollback() // nothing to commit
	return s.failed(what, fn(tx))
}

// failed says what was being done, and gives SQLite's errors the notary's names.
func (s *Store) failed(what string, err error) error {
	var foreign *sqlite.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		err = notary.ErrNotFound
	case errors.As(err, &foreign):
		switch foreign.Code() & 0xff {
		case sqlite3.SQLITE_FULL:
			err = fmt.Errorf("%w: %s: %w", notary.ErrStoreFull, s.path, err)
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			err = fmt.Errorf("%w: %s: %w", notary.ErrStoreDamaged, s.path, err)
		case sqlite3.SQLITE_IOERR:
			if foreign.Code() == sqlite3.SQLITE_IOERR_SHMSIZE { // before anything is written
				err = fmt.Errorf("%w: %s: %w", notary.ErrStoreFull, s.path, err)
			} else {
				err = fmt.Errorf("%w: %s: %w", notary.ErrStoreFailed, s.path, err)
			}
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// TruncateLog moves the write-ahead log into the database file and empties it,
// so that nothing which was deleted stays in it. It waits for readers and fails
// where one stays too long.
func (s *Store) TruncateLog(ctx context.Context) error {
	const what = "truncating the write-ahead log"
	if err := s.Err(); err != nil {
		return s.failed(what, err)
	}
	var busy, frames, moved int64
	row := s.w.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	if err := row.Scan(&busy, &frames, &moved); err != nil {
		return s.lose(s.failed(what, err))
	}
	if busy != 0 {
		return s.failed(what, errors.New("a reader holds it"))
	}
	return nil
}

// Close closes the file. Where no other process has it open, SQLite moves the
// write-ahead log into it; otherwise, or on a full disk, the next to open does,
// and nothing is lost. After a lost write the last connection stays open until the
// process ends, because closing it would sync the file again. Closing again
// returns what the first call returned.
func (s *Store) Close() error {
	s.closing.Do(func() {
		// What was prepared goes with its connections.
		s.closed = errors.Join(s.r.Close(), s.payloads.close())
		if s.Err() == nil {
			s.closed = errors.Join(s.closed, s.w.Close())
		}
	})
	return s.closed
}
