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

// erasable demands that a part is one of the file and that no statement which is
// held has a byte of it: a damaged row must not take a neighbour's payload away. That
// a part was the dropped statement's own was found when it was dropped: see without.
func (p *payloads) erasable(ctx context.Context, tx *sql.Tx, e extent) error {
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
	if e.at < int64(len(payloadsHeader)) || e.size <= 0 || e.size > info.Size() || e.at > info.Size()-e.size {
		return leftAlone{p.damaged("%d bytes at %d are to be overwritten, which the file has not; restore the database", e.size, e.at)}
	}
	var id []byte
	var end int64
	err = tx.QueryRowContext(ctx, sqlPayloadBefore, e.at+e.size).Scan(&id, &end)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err == nil && end > e.at {
		return leftAlone{p.damaged("%d bytes at %d are to be overwritten, where statement %x is; restore the database", e.size, e.at, id)}
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
// drops or stores. A place that must not be overwritten stays there for Check to name,
// and is an error; the others are.
func (s *Store) eraseDropped(ctx context.Context) error {
	const what = "overwriting what was dropped"
	var damage error
	err := s.inWrite(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
		extents, err := droppedExtents(ctx, tx)
		if err != nil {
			return err
		}
		var own []extent
		for _, e := range extents {
			err := s.payloads.erasable(ctx, tx, e)
			switch {
			case errors.As(err, new(leftAlone)):
				damage = errors.Join(damage, err)
			case err != nil:
				return err
			default:
				own = append(own, e)
			}
		}
		if len(own) == 0 {
			return nil
		}
		if err := s.payloads.erase(own); err != nil {
			return err
		}
		for _, e := range own {
			if _, err := tx.ExecContext(ctx, `DELETE FROM dropped WHERE at = ?`, e.at); err != nil {
				return err
			}
		}
		return nil
	}, func() { s.payloads.toErase.Store(false) }) // what is damaged waits for the next one who drops, or a start
	if err != nil {
		return err
	}
	return s.failed(what, damage)
}

// droppedExtents returns what is still to be overwritten.
func droppedExtents(ctx context.Context, tx *sql.Tx) ([]extent, error) {
	rows, err := tx.QueryContext(ctx, `SELECT at, size FROM dropped`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var extents []extent
	for rows.Next() {
		var e extent
		if err := rows.Scan(&e.at, &e.size); err != nil {
			return nil, err
		}
		extents = append(extents, e)
	}
	return extents, rows.Err()
}

// checkDropped finds what is to be overwritten and must not be.
func (s *Store) checkDropped(ctx context.Context, tx *sql.Tx) ([]string, error) {
	extents, err := droppedExtents(ctx, tx)
	var problems []string
	for i := 0; err == nil && i < len(extents) && len(problems) < maxProblems; i++ {
		if err = s.payloads.erasable(ctx, tx, extents[i]); errors.As(err, new(leftAlone)) {
			problems, err = append(problems, plainDamage(err)), nil
		}
	}
	return problems, err
}
