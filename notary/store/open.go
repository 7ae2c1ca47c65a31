package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/trialnotary/trialnotary/notary"
)

// Create makes an empty store. It refuses an existing file, and what an earlier
// database of that name left beside it: SQLite would replay a stale write-ahead
// log into the new file.
func Create(path string) error {
	if err := create(path); err != nil {
		return fmt.Errorf("creating store: %w", err)
	}
	return nil
}

func create(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	for _, suffix := range []string{"", "-wal", "-shm", "-journal", payloadsSuffix} {
		if _, err := os.Lstat(path + suffix); err == nil {
			return fmt.Errorf("%s: %w", path+suffix, fs.ErrExist)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// Built under another name and then linked: a crash leaves no half store
	// under the real one, and two callers cannot both win.
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := build(context.Background(), f.Name()); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// build makes an empty store of the newest schema in an empty file.
func build(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", dsn(path, readWrite))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	for _, q := range []string{
		fmt.Sprintf("PRAGMA page_size = %d", pageSize),
		fmt.Sprintf("PRAGMA application_id = %d", applicationID),
		"PRAGMA journal_mode = WAL",
	} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return errors.Join(err, db.Close())
		}
	}
	return errors.Join(migrate(ctx, db, migrations), db.Close())
}

// Remove removes a store that Create made and nobody has open.
func Remove(path string) error {
	err := os.Remove(path + payloadsSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.Remove(path))
}

// Open opens a store and brings an older schema forward. It refuses a missing
// file, one that is no store of the notary, and one of a newer schema. It does
// what is cheap to find damage (Check does the rest): the header, the length of
// the file, the schema and the small tables.
func Open(path string) (*Store, error) { return open(path, false) }

// OpenReadOnly opens a store that nobody has open, to read and check it: the file
// and its write-ahead log stay as they are, and every write fails. It refuses an
// older schema. Where a crash left a write-ahead log, SQLite may make its index of
// it, PATH-shm, anew.
func OpenReadOnly(path string) (*Store, error) { return open(path, true) }

func open(path string, readOnly bool) (*Store, error) {
	abs, err := filepath.Abs(path)
	if err == nil {
		err = checkHeader(abs)
	}
	if err != nil {
		return nil, fmt.Errorf("opening store: %w", err)
	}
	s := &Store{path: abs, readOnly: readOnly, maxRecent: maxRecent, maxInRow: maxInRow,
		payloads: payloads{path: abs + payloadsSuffix, readOnly: readOnly, fsync: (*os.File).Sync}}
	if err := s.connect(); err != nil {
		return nil, s.failed("opening store", err)
	}
	if err := s.start(context.Background()); err != nil {
		return nil, errors.Join(s.failed("opening store "+abs, err), s.r.Close(), s.w.Close(), s.payloads.close())
	}
	return s, nil
}

// readMode returns how a file is opened to be read only. SQLite takes an immutable
// file as it is and writes nothing beside it, but does not look for a write-ahead
// log.
func readMode(path string) url.Values {
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
		return url.Values{"mode": {"ro"}}
	}
	return url.Values{"mode": {"ro"}, "immutable": {"1"}}
}

func (s *Store) start(ctx context.Context) error {
	if s.readOnly {
		return s.startReadOnly(ctx)
	}
	if err := migrate(ctx, s.w, migrations); err != nil {
		return err
	}
	if err := s.checkSettings(ctx); err != nil {
		return err
	}
	if err := s.checkSchema(ctx); err != nil {
		return err
	}
	for _, table := range []string{"mark", "meta", "users", "grants", "grant_sites"} {
		var said string
		if err := s.w.QueryRowContext(ctx, "PRAGMA quick_check('"+table+"')").Scan(&said); err != nil {
			return err
		}
		if said != "ok" {
			return fmt.Errorf("%w: table %s: %s", notary.ErrStoreDamaged, table, said)
		}
	}
	if err := s.payloads.check(ctx, s.w); err != nil {
		return err
	}
	return s.prepare(ctx)
}

// startReadOnly leaves the small tables to Check.
func (s *Store) startReadOnly(ctx context.Context) error {
	var version int
	if err := s.r.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	switch want := len(migrations); {
	case version > want:
		return fmt.Errorf("%w: got schema %d, want %d", ErrNewerSchema, version, want)
	case version < want:
		return fmt.Errorf("%w: got schema %d, want %d; a start of the server brings it forward", ErrOlderSchema, version, want)
	}
	if err := s.checkSchema(ctx); err != nil {
		return err
	}
	if err := s.payloads.check(ctx, s.r); err != nil {
		return err
	}
	return s.prepare(ctx)
}

// checkSettings refuses a connection that would not keep the promises. A file
// system without shared memory, for one, silently gets another journal.
func (s *Store) checkSettings(ctx context.Context) error {
	for _, want := range []struct{ pragma, value string }{
		{"journal_mode", "wal"},
		{"synchronous", "2"},
		{"secure_delete", "1"},
		{"foreign_keys", "1"},
	} {
		var got string
		if err := s.w.QueryRowContext(ctx, "PRAGMA "+want.pragma).Scan(&got); err != nil {
			return err
		}
		if got != want.value {
			return fmt.Errorf("invalid %s: got %s, want %s", want.pragma, got, want.value)
		}
	}
	return nil
}

// checkHeader reads the first 100 bytes of the file before SQLite does: opening
// a foreign database for writing may already change it.
func checkHeader(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w: not a regular file", path, ErrForeign)
	}
	var h [100]byte
	if _, err := io.ReadFull(f, h[:]); err != nil {
		return fmt.Errorf("%s: %w: got %d bytes, want at least %d", path, ErrForeign, info.Size(), len(h))
	}
	if string(h[:16]) != "SQLite format 3\x00" {
		return fmt.Errorf("%s: %w: no SQLite database", path, ErrForeign)
	}
	if id := binary.BigEndian.Uint32(h[68:]); id != applicationID {
		return fmt.Errorf("%s: %w: got application id %#08x, want %#08x", path, ErrForeign, id, applicationID)
	}
	// With pages still in the write-ahead log, the file may be shorter than its
	// header says: a crash interrupted their way into it, and opening goes on
	// with that.
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
		return nil
	}
	if want := int64(binary.BigEndian.Uint32(h[28:])) * pageSize; info.Size() < want {
		return fmt.Errorf("%w: %s is cut short: got %d bytes, want %d", notary.ErrStoreDamaged, path, info.Size(), want)
	}
	return nil
}

// syncDir makes a new name in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
