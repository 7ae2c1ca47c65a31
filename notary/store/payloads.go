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
	"sync/atomic"
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
// The file is made with the first payload that goes there. What is in it when the
// store is opened stays, also behind the last payload that a row names: a crash may
// have left it, but it may as well be a newer file beside an older database, and what
// it has was acknowledged. The next payload goes behind it. A write that fails takes
// its own bytes back; a payload that is dropped is overwritten with zeros. Those of
// one transaction begin at a whole block: see appender.
const (
	payloadsSuffix = "-payloads"
	payloadsHeader = "Trial Notary payloads 1\n"
	// maxInRow is Store.maxInRow. Below it the sync of another file would cost more
	// than the pages.
	maxInRow = 16 << 10
)

const (
	// Where that ends which rows name, and what is still to be overwritten.
	sqlPayloadsEnd = `SELECT max(
		coalesce((SELECT payload_at + payload_size FROM statements INDEXED BY statements_payload_at
			WHERE payload_at IS NOT NULL ORDER BY payload_at DESC LIMIT 1), 0),
		coalesce((SELECT max(at + size) FROM dropped), 0))`
	// The same without a look at the index: a later statement's payload is behind
	// those of all before it.
	sqlPayloadsEndOfTable = `SELECT max(
		coalesce((SELECT payload_at + payload_size FROM statements NOT INDEXED
			WHERE payload_at IS NOT NULL ORDER BY n DESC LIMIT 1), 0),
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
	// fsync is (*os.File).Sync, but in tests of a disk that fails.
	fsync func(*os.File) error

	// end is where the next payload goes; 0 is not known yet. What is behind began
	// was written by the transaction that runs. Like failed they belong to the
	// holder of the write connection.
	began, end int64
	// failed are parts that a transaction wrote whose commit failed. It may be found
	// done after a crash, so they are not written again before another one is.
	failed []extent
	// appended writes what a transaction appends; begun tells that it
	// appends, so that something may be behind began.
	appended appender
	begun    bool

	// toErase tells that something is to be overwritten. It changes while the write
	// connection is held.
	toErase atomic.Bool

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

// failure gives what the system says of a write the notary's names. Not that of a
// sync: see flush.
func (p *payloads) failure(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", notary.ErrStoreFull, err)
	}
	return fmt.Errorf("%w: %w", notary.ErrStoreFailed, err)
}

// flush makes a file or a folder durable. Whatever the error is, nobody knows what
// the disk has, and the next sync would call itself a success: see Store.Err.
func (p *payloads) flush(file *os.File) error {
	if err := p.fsync(file); err != nil {
		return fmt.Errorf("%w: %w", notary.ErrStoreFailed, err)
	}
	return nil
}

// open returns the file, which is made where create says so. An error tells nothing
// about what is in it: the next one to need it tries again.
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
	if err != nil {
		return err
	}
	file, err := p.open(false)
	if errors.Is(err, fs.ErrNotExist) {
		if end == 0 {
			return nil
		}
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
	if err != nil {
		return err
	}
	if explained := wholeBlocks(max(end, int64(len(payloadsHeader)))); info.Size() < end || info.Size() > explained {
		if err := checkPayloadsEnd(ctx, db, end); err != nil {
			if p.readOnly {
				return nil
			}
			return err
		}
	}
	switch {
	case end == 0: // a crash may have left anything
		return nil
	case info.Size() < end:
		return p.damaged("the file is cut short or an older copy: got %d bytes, want at least %d", info.Size(), end)
	case string(header) != payloadsHeader:
		return p.damaged("the file is none of payloads")
	}
	return nil
}

// checkPayloadsEnd demands that the index which tells where the payloads end is right
// about it. Where the file ends in the same block, that need not be asked.
func checkPayloadsEnd(ctx context.Context, db *sql.DB, indexed int64) error {
	var end int64
	if err := db.QueryRowContext(ctx, sqlPayloadsEndOfTable).Scan(&end); err != nil {
		return err
	}
	if end != indexed {
		return fmt.Errorf("%w: index statements_payload_at: the large payloads end at %d, table statements says at %d",
			notary.ErrStoreDamaged, indexed, end)
	}
	return nil
}

// begin makes the file ready to be written in a transaction, if there is one.
func (p *payloads) begin(ctx context.Context, tx *sql.Tx) error {
	for _, e := range p.failed {
		p.toErase.Store(true)
		if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO dropped (at, size) VALUES (?, ?)`, e.at, e.size); err != nil {
			return err
		}
	}
	if p.end > 0 {
		return nil
	}
	if _, err := p.open(false); errors.Is(err, fs.ErrNotExist) {
		return nil // it is made with the first payload
	}
	var left bool
	if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM dropped)`).Scan(&left); err != nil {
		return err
	}
	if left {
		p.toErase.Store(true)
	}
	return p.prepare()
}

// committed, rolledBack and commitFailed tell how the transaction ended that wrote.
func (p *payloads) committed() { p.began, p.failed, p.begun = p.end, nil, false }

func (p *payloads) rolledBack() {
	if p.begun {
		// Where this fails, the next payload is written over what stays.
		if file, err := p.open(false); err == nil {
			_ = file.Truncate(p.began)
		}
	}
	p.end, p.begun = p.began, false
}

func (p *payloads) commitFailed() {
	p.begun = false
	if p.end > p.began {
		p.failed = append(p.failed, extent{p.began, p.end - p.began})
	}
	p.began = p.end
}

// prepare makes the file, once in a process, with its header and its name durable:
// whoever made it may have been killed before that.
func (p *payloads) prepare() error {
	file, err := p.open(true)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return p.failure(err)
	}
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	header := make([]byte, len(payloadsHeader))
	if _, err := file.ReadAt(header, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if string(header) != payloadsHeader {
		if _, err := file.WriteAt([]byte(payloadsHeader), 0); err != nil {
			return p.failure(err)
		}
	}
	if err := p.flush(file); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(p.path))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := p.flush(dir); err != nil {
		return err
	}
	end := max(info.Size(), int64(len(payloadsHeader)))
	p.began, p.end = end, end
	return nil
}

// append puts a payload behind the others. It is written and durable after sync.
func (p *payloads) append(payload []byte) (at place, err error) {
	if p.end == 0 {
		if err := p.prepare(); err != nil {
			return at, err
		}
	}
	file, err := p.open(false)
	if err != nil {
		return at, err
	}
	if !p.begun {
		p.end, p.begun = p.appended.begin(file, p.end), true
	}
	if err := p.appended.add(file, payload); err != nil {
		return at, p.failure(err)
	}
	at = place{sql.NullInt64{Int64: p.end, Valid: true}, sql.NullInt64{Int64: int64(len(payload)), Valid: true}}
	p.end += int64(len(payload))
	return at, nil
}

// sync makes what was written durable.
func (p *payloads) sync() error {
	file, err := p.open(false)
	if err != nil {
		return err
	}
	if err := p.appended.flush(file); err != nil {
		return p.failure(err)
	}
	return p.flush(file)
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
	switch {
	case errors.Is(err, syscall.EIO): // the disk has lost it
		return nil, p.damaged("statement %x: %v", id, err)
	case err != nil && !errors.Is(err, io.EOF):
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
