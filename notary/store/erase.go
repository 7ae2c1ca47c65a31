package store

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
)

// What ends last of the payloads that begin before a place.
const sqlPayloadBefore = `SELECT id, payload_at + payload_size FROM statements INDEXED BY statements_payload_at
	WHERE payload_at IS NOT NULL AND payload_at < ? ORDER BY payload_at DESC LIMIT 1`

// erasable demands that each part is one of the file and that no statement which is
// held has a byte of it: a damaged row must not take a neighbour's payload away. That
// a part was the dropped statement's own was found when it was dropped: see without.
func (p *payloads) erasable(ctx context.Context, tx *sql.Tx, extents []extent) error {
	file, err := p.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	for _, e := range extents {
		if e.at < int64(len(payloadsHeader)) || e.size <= 0 || e.size > info.Size() || e.at > info.Size()-e.size {
			return p.damaged("%d bytes at %d are to be overwritten, which the file has not; restore the database", e.size, e.at)
		}
		var id []byte
		var end int64
		err := tx.QueryRowContext(ctx, sqlPayloadBefore, e.at+e.size).Scan(&id, &end)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err == nil && end > e.at {
			return p.damaged("%d bytes at %d are to be overwritten, where statement %x is; restore the database", e.size, e.at, id)
		}
	}
	return nil
}

// erase overwrites parts of the file, durably.
func (p *payloads) erase(extents []extent) error {
	file, err := p.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	p.mu.Lock()
	if p.dropped == nil {
		p.dropped = make(map[int64]bool)
	}
	for _, e := range extents {
		p.dropped[e.at] = true // before its bytes are gone
	}
	p.mu.Unlock()
	zeros := make([]byte, 1<<20) // a part may be all that one transaction wrote
	for _, e := range extents {
		for e.size > 0 {
			n := min(e.size, int64(len(zeros)))
			if _, err := file.WriteAt(zeros[:n], e.at); err != nil {
				return p.failure(err)
			}
			e.at, e.size = e.at+n, e.size-n
		}
	}
	return p.flush(file)
}

// eraseDropped overwrites the payloads of statements that were dropped. Their places
// are in the database until that is done, so a crash leaves it to the next one who
// drops or stores.
func (s *Store) eraseDropped(ctx context.Context) error {
	return s.inWrite(ctx, "overwriting what was dropped", func(ctx context.Context, tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT at, size FROM dropped`)
		if err != nil {
			return err
		}
		defer rows.Close()
		var extents []extent
		for rows.Next() {
			var e extent
			if err := rows.Scan(&e.at, &e.size); err != nil {
				return err
			}
			extents = append(extents, e)
		}
		if err := rows.Err(); err != nil || len(extents) == 0 {
			return err
		}
		if err := s.payloads.erasable(ctx, tx, extents); err != nil {
			return err
		}
		if err := s.payloads.erase(extents); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM dropped`)
		return err
	}, func() { s.payloads.toErase.Store(false) })
}
