package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Moment names a time that the server remembers across its starts.
type Moment string

// The moments.
const (
	// MomentConfirmed is when an operator last confirmed that the clock is right.
	MomentConfirmed Moment = "confirmed_time"
	// MomentFullCheck is when a full check last ended without finding anything.
	MomentFullCheck Moment = "full_check"
)

// Moment returns a moment to the microsecond, or the zero time.
func (s *Store) Moment(ctx context.Context, m Moment) (time.Time, error) {
	var at sql.NullInt64
	err := s.read.getMeta.QueryRowContext(ctx, string(m)).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return readTime(at), s.failed("reading the moment "+string(m), err)
}

// SetMoment stores a moment.
func (s *Store) SetMoment(ctx context.Context, m Moment, at time.Time) error {
	return s.inWrite(ctx, "storing the moment "+string(m), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.StmtContext(ctx, s.write.setMeta).ExecContext(ctx, string(m), at.UnixMicro())
		return err
	})
}
