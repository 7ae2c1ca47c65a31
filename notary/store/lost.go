package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/trialnotary/trialnotary/notary"
)

// walFrames is the length of the write-ahead log, in pages, at which it is moved
// into the file.
const walFrames = 16_000

// Err returns nil while the store takes writes, or what ended that for good:
// notary.ErrStoreFailed or notary.ErrStoreDamaged.
//
// A disk that failed to write or to sync may have dropped the bytes and will
// still call the next sync a success, so SQLite's own way, to try again with the
// next transaction, proves nothing. Only opening the file again tells what is in
// it.
func (s *Store) Err() error {
	if err := s.lost.Load(); err != nil {
		return *err
	}
	return nil
}

// leftAlone is damage that a write met and kept away from: it changed nothing, and
// what is stored from now on goes elsewhere. So it is no reason to take nothing more.
// It is for one dropped statement's own bytes, and not for a page of the database,
// which the next write may spread.
type leftAlone struct{ error }

func (e leftAlone) Unwrap() error { return e.error }

// lose remembers a failed write whose outcome is unknown, and returns it.
func (s *Store) lose(err error) error {
	if errors.As(err, new(leftAlone)) {
		return err
	}
	if errors.Is(err, notary.ErrStoreFailed) || errors.Is(err, notary.ErrStoreDamaged) {
		s.lost.CompareAndSwap(nil, &err)
	}
	return err
}

// checkpoint moves a long write-ahead log into the file. SQLite would do so by
// itself, but drops the errors. What is in the log is durable already, so a full
// disk or a reader in the way is no failure; a disk that fails to write is, for
// every later write.
func (s *Store) checkpoint(ctx context.Context, conn *sql.Conn) {
	const what = "moving the write-ahead log into the file"
	var busy, frames, moved int64
	row := conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(NOOP)")
	if err := row.Scan(&busy, &frames, &moved); err != nil {
		_ = s.lose(s.failed(what, err))
		return
	}
	if frames-moved < walFrames {
		return
	}
	row = conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
	if err := row.Scan(&busy, &frames, &moved); err != nil {
		_ = s.lose(s.failed(what, err))
	}
}
