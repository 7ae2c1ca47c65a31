package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// metaConfirmed is the row of meta that ConfirmedTime reads, in microseconds since
// 1970.
const metaConfirmed = "confirmed_time"

// ConfirmedTime returns the time that an operator last confirmed to have come, or
// the zero time.
func (s *Store) ConfirmedTime(ctx context.Context) (time.Time, error) {
	var at sql.NullInt64
	err := s.read.getMeta.QueryRowContext(ctx, metaConfirmed).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return readTime(at), s.failed("reading the confirmed time", err)
}

// ConfirmTime stores that this time has come.
func (s *Store) ConfirmTime(ctx context.Context, at time.Time) error {
	return s.inWrite(ctx, "storing the confirmed time", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.StmtContext(ctx, s.write.setMeta).ExecContext(ctx, metaConfirmed, at.UnixMicro())
		return err
	})
}
