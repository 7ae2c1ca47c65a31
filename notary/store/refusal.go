package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/trialnotary/trialnotary/trial"
)

// Refusal is one refused call as it is recorded: who, when, what and why, and
// nothing of what the call carried.
type Refusal struct {
	Time      time.Time // kept in microseconds, UTC
	RequestID string
	User      string // "" is not authenticated
	Address   string
	Method    string
	Reason    trial.Reason
	Statement trial.ID // zero where none is known
}

// Bounds of what refused calls may fill: their number, and each text in bytes.
const (
	maxRefusals    = 100_000
	maxRefusalText = 256
)

const sqlRefusals = `SELECT time, request, user, address, method, reason, statement
	FROM refusals ORDER BY n DESC LIMIT ?`

// RecordRefusal records refusals in one transaction and forgets the oldest when
// there are more than 100,000. Texts are cut to 256 bytes: a refusal is recorded
// whatever the caller sent.
func (s *Store) RecordRefusal(ctx context.Context, refusals ...Refusal) error {
	return s.recordRefusals(ctx, maxRefusals, refusals)
}

func (s *Store) recordRefusals(ctx context.Context, keep int, refusals []Refusal) error {
	if len(refusals) == 0 {
		return nil
	}
	what := fmt.Sprintf("recording %d refusals", len(refusals))
	return s.inWrite(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
		put := tx.StmtContext(ctx, s.write.putRefusal)
		for _, r := range refusals {
			_, err := put.ExecContext(ctx, r.Time.UnixMicro(), cut(r.RequestID), cut(r.User), cut(r.Address), cut(r.Method),
				cut(string(r.Reason)), blob(r.Statement))
			if err != nil {
				return err
			}
		}
		_, err := tx.StmtContext(ctx, s.write.pruneRefusals).ExecContext(ctx, keep)
		return err
	})
}

// cut returns at most maxRefusalText bytes of valid UTF-8 without NUL.
func cut(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
	if len(s) <= maxRefusalText {
		return s
	}
	end := maxRefusalText
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// Refusals returns the newest refusals first, at most limit of them.
func (s *Store) Refusals(ctx context.Context, limit int) ([]Refusal, error) {
	const what = "reading refusals"
	if limit < 1 {
		return nil, s.failed(what, fmt.Errorf("invalid limit: got %d, want at least 1", limit))
	}
	rows, err := s.read.refusals.QueryContext(ctx, limit)
	if err != nil {
		return nil, s.failed(what, err)
	}
	defer rows.Close()
	var refusals []Refusal
	for rows.Next() {
		var r Refusal
		var at int64
		var reason string
		var statement []byte
		if err := rows.Scan(&at, &r.RequestID, &r.User, &r.Address, &r.Method, &reason, &statement); err != nil {
			return nil, s.failed(what, err)
		}
		r.Time, r.Reason = readTime(sql.NullInt64{Int64: at, Valid: true}), trial.Reason(reason)
		copy(r.Statement[:], statement)
		refusals = append(refusals, r)
	}
	return refusals, s.failed(what, rows.Err())
}
