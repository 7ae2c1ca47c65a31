package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// Payloads of more than maxInRow bytes are no part of the database's pages, each of
// which is written twice, to the write-ahead log and to the file, but stand one
// behind the other in a file beside it. A row says where its payload is, and its ID
// is the payload's SHA-256: what is missing, older or changed is seen by whoever
// reads it.
//
// The file is made with the first payload that goes there. It only grows. What a
// crash left behind the last payload that a row names is cut off before the next
// one is written; a payload that is dropped is overwritten with zeros. Those of one
// transaction begin at a whole block: see appender.
const (
	payloadsSuffix = "-payloads"
	payloadsHeader = "Trial Notary payloads 1\n"
	// maxInRow is Store.maxInRow. Below it the sync of another file would cost more
	// than the pages.
	maxInRow = 16 << 10
)

const (
	// What rows name, and what is still to be overwritten: no byte of either is
	// written again.
	sqlPayloadsEnd = `SELECT max(
		coalesce((SELECT payload_at + payload_size FROM statements INDEXED BY statements_payload_at
			WHERE payload_at IS NOT NULL ORDER BY payload_at DESC LIMIT 1), 0),
		coalesce((SELECT max(at + size) FROM dropped), 0))`
	sqlPutDropped = `INSERT INTO dropped (at, size)
		SELECT payload_at, payload_size FROM statements WHERE n = ? AND payload_at IS NOT NULL`
)

// extent is a part of the file.
type extent struct{ at, size int64 }

// payloads is the file. It is written while the one write connection is held.
type payloads struct {
	path     string
	readOnly bool

	// end is where the next payload goes; 0 is not known yet. What is behind began
	// was written by the transaction that runs. Like failed they belong to the
	// holder of the write connection.
	began, end int64
	// failed are parts that a transaction wrote whose commit failed. It may be found
	// done after a crash, so they are not written again before another one is.
	failed []extent
	// appended writes what a transaction appends; begun tells that it appends.
	appended appender
	begun    bool

	mu   sync.Mutex // for what follows
	file *os.File
	// dropped are the places that were overwritten: whoever read the row before
	// finds zeros there.
	dropped map[int64]bool
}

// place is where a row says that its payload is.
type place struct{ at, size sql.NullInt64 }

// damaged is an error about one statement's payload.
func (p *payloads) damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", notary.ErrStoreDamaged, filepath.Base(p.path), fmt.Sprintf(format, args...))
}

// failure gives what the system says of a write the notary's names.
func (p *payloads) failure(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", notary.ErrStoreFull, err)
	}
	return fmt.Errorf("%w: %w", notary.ErrStoreFailed, err)
}

// open returns the file, which is made where create says so.
func (p *payloads) open(create bool) (*os.File, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file != nil {
		return p.file, nil
	}
	flags := os.O_RDWR
	switch {
	case p.readOnly:
		flags = os.O_RDONLY
	case create:
		flags |= os.O_CREATE
	}
	file, err := os.OpenFile(p.path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	p.file = file
	return file, nil
}

func (p *payloads) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == nil {
		return nil
	}
	return errors.Join(p.appended.close(), p.file.Close())
}

// check demands a file in which every payload that a row names can be: its bytes are
// looked at when they are read.
func (p *payloads) check(ctx context.Context, db *sql.DB) error {
	var end int64
	err := db.QueryRowContext(ctx, sqlPayloadsEnd).Scan(&end)
	if err != nil && p.readOnly {
		return nil // a damaged table is for Check to name
	}
	if err != nil || end == 0 {
		return err
	}
	file, err := p.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		return p.damaged("the file is missing; restore it from the copy that the database is from, or from a newer one")
	}
	if err != nil {
		return err
	}
	header := make([]byte, len(payloadsHeader))
	if _, err := file.ReadAt(header, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		return err
	case info.Size() < end:
		return p.damaged("the file is cut short or an older copy: got %d bytes, want at least %d", info.Size(), end)
	case string(header) != payloadsHeader:
		return p.damaged("the file is none of payloads")
	}
	return nil
}

// begin makes the file ready to be written in a transaction: a part that is written
// by no other is known, and what a crash left behind it is gone. toErase tells that
// something is to be overwritten once the transaction is committed.
func (p *payloads) begin(ctx context.Context, tx *sql.Tx) (toErase bool, err error) {
	for _, e := range p.failed {
		if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO dropped (at, size) VALUES (?, ?)`, e.at, e.size); err != nil {
			return false, err
		}
	}
	if p.end > 0 {
		p.began = p.end
		return len(p.failed) > 0, nil
	}
	var end int64
	if err := tx.QueryRowContext(ctx, sqlPayloadsEnd).Scan(&end); err != nil {
		return false, err
	}
	file, err := p.open(false)
	if errors.Is(err, fs.ErrNotExist) && end == 0 {
		return false, nil // it is made with the first payload
	}
	if err != nil {
		return false, err
	}
	if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM dropped)`).Scan(&toErase); err != nil {
		return false, err
	}
	return toErase, p.cut(file, max(end, int64(len(payloadsHeader))))
}

// committed, rolledBack and commitFailed tell how the transaction ended that wrote.
func (p *payloads) committed() { p.began, p.failed, p.begun = p.end, nil, false }

func (p *payloads) rolledBack() { p.end, p.begun = p.began, false }

func (p *payloads) commitFailed() {
	p.begun = false
	if p.end > p.began {
		p.failed = append(p.failed, extent{p.began, p.end - p.began})
	}
	p.began = p.end
}

// cut ends the file, and writes its header where it has none.
func (p *payloads) cut(file *os.File, end int64) error {
	info, err := file.Stat()
	if err == nil && info.Size() > end {
		err = file.Truncate(end)
	}
	if err == nil {
		_, err = file.WriteAt([]byte(payloadsHeader), 0)
	}
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		return p.failure(err)
	}
	p.began, p.end = end, end
	return nil
}

// append puts a payload behind the others. It is written and durable after sync.
func (p *payloads) append(payload []byte) (at place, err error) {
	if p.end == 0 {
		file, err := p.open(true)
		if err != nil {
			return at, p.failure(err)
		}
		if err := p.cut(file, int64(len(payloadsHeader))); err != nil {
			return at, err
		}
		if err := syncDir(filepath.Dir(p.path)); err != nil {
			return at, p.failure(err)
		}
	}
	file, err := p.open(false)
	if err != nil {
		return at, err
	}
	if !p.begun {
		p.end, p.begun = p.appended.begin(p.path, p.end), true
	}
	if err := p.appended.add(file, payload); err != nil {
		return at, p.failure(err)
	}
	at = place{sql.NullInt64{Int64: p.end, Valid: true}, sql.NullInt64{Int64: int64(len(payload)), Valid: true}}
	p.end += int64(len(payload))
	return at, nil
}

// sync makes what was written durable. It is not tried again: see Store.Err.
func (p *payloads) sync() error {
	file, err := p.open(false)
	if err != nil {
		return err
	}
	if err := p.appended.flush(file); err != nil {
		return p.failure(err)
	}
	return p.failure(file.Sync())
}

// load returns the payload that a row names, held against the statement's ID. Where
// the row's statement was dropped meanwhile it fails with sql.ErrNoRows.
func (p *payloads) load(id []byte, at place) ([]byte, error) {
	if at.size.Int64 < 0 || at.size.Int64 > trial.MaxPayload {
		return nil, p.damaged("statement %x: its row says that it has %d bytes", id, at.size.Int64)
	}
	file, err := p.open(false)
	if err != nil {
		return nil, err
	}
	payload := make([]byte, at.size.Int64)
	_, err = file.ReadAt(payload, at.at.Int64)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the payload of statement %x: %w", id, err)
	}
	got := sha256.Sum256(payload)
	switch {
	case slices.Equal(got[:], id):
		return payload, nil
	case p.wasDropped(at.at.Int64):
		return nil, sql.ErrNoRows
	case err != nil:
		return nil, p.damaged("statement %x: the file ends before its payload does", id)
	}
	return nil, p.damaged("statement %x: its payload hashes to %x", id, got)
}

func (p *payloads) wasDropped(at int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dropped[at]
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
	for _, e := range extents {
		if _, err := file.WriteAt(make([]byte, e.size), e.at); err != nil {
			return p.failure(err)
		}
	}
	return p.failure(file.Sync())
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
		if err := s.payloads.erase(extents); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM dropped`)
		return err
	})
}
