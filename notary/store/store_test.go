package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

func TestCreateRefuses(t *testing.T) {
	for _, tc := range []struct{ name, existing string }{
		{"existing file", "notary.db"},
		{"stale write-ahead log", "notary.db-wal"},
		{"stale shared memory", "notary.db-shm"},
		{"stale journal", "notary.db-journal"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, tc.existing), []byte("mine"), 0o600); err != nil {
				t.Fatal(err)
			}
			err := Create(filepath.Join(dir, "notary.db"))
			if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), tc.existing) {
				t.Errorf("got %v, want fs.ErrExist naming %s", err, tc.existing)
			}
			if b, _ := os.ReadFile(filepath.Join(dir, tc.existing)); string(b) != "mine" {
				t.Error("the file was changed")
			}
		})
	}
	t.Run("missing folder", func(t *testing.T) {
		if err := Create(filepath.Join(t.TempDir(), "no", "notary.db")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v, want fs.ErrNotExist", err)
		}
	})
}

func TestCreateLeavesOneFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "notary.db")
	if err := Create(path); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("got %v, %v, want the store alone", entries, err)
	}
	info, err := entries[0].Info()
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("got mode %v, %v, want 0600", info.Mode(), err)
	}
}

func TestOpenRefuses(t *testing.T) {
	edit := func(fn func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			t.Helper()
			if err := Create(path); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, fn(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	run := func(queries ...string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			t.Helper()
			if err := Create(path); err != nil {
				t.Fatal(err)
			}
			execForeign(t, path, queries...)
		}
	}
	write := func(text string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tc := range []struct {
		name string
		make func(*testing.T, string)
		want error
		says string
	}{
		{"missing", func(*testing.T, string) {}, fs.ErrNotExist, "no such file"},
		{"folder", func(_ *testing.T, p string) { _ = os.Mkdir(p, 0o700) }, ErrForeign, "not a regular file"},
		{"empty", write(""), ErrForeign, "got 0 bytes"},
		{"text", write(strings.Repeat("not a database ", 20)), ErrForeign, "no SQLite database"},
		{"other database", run("PRAGMA application_id = 0"), ErrForeign, "application id"},
		{"newer schema", run("PRAGMA user_version = 99"), ErrNewerSchema, "got schema 99"},
		{"cut short", edit(func(b []byte) []byte { return b[:len(b)-1] }), notary.ErrStoreDamaged, "cut short"},
		{"lacks a table", run("DROP TABLE refusals"), notary.ErrStoreDamaged, "table refusals is missing"},
		{"lacks an index", run("DROP INDEX entries_trial"), notary.ErrStoreDamaged, "index entries_trial is missing"},
		{"has a trigger", run("CREATE TRIGGER t AFTER INSERT ON mark BEGIN DELETE FROM mark; END"), notary.ErrStoreDamaged, "trigger t is not ours"},
		{"damaged mark", edit(func(b []byte) []byte {
			page := rootPage(b, "mark")
			copy(b[(page-1)*pageSize:], "not a page of a tree")
			return b
		}), notary.ErrStoreDamaged, "mark"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "notary.db")
			tc.make(t, path)
			s, err := Open(path)
			if err == nil {
				_ = s.Close()
			}
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want %v saying %q and naming the file", err, tc.want, tc.says)
			}
		})
	}
}

func TestHeader(t *testing.T) {
	s := newStore(t)
	h, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	if got := binary.BigEndian.Uint16(h[16:]); got != pageSize {
		t.Errorf("got page size %d, want %d", got, pageSize)
	}
	if got := binary.BigEndian.Uint32(h[60:]); got != uint32(len(migrations)) {
		t.Errorf("got schema %d, want %d", got, len(migrations))
	}
}

// TestConnections looks at every connection of both pools: a setting that only
// the first one has would be lost when the pool opens another.
func TestConnections(t *testing.T) {
	s := newStore(t)
	common := map[string]string{
		"synchronous": "2", "secure_delete": "1", "foreign_keys": "1", "journal_mode": "wal", "page_size": "4096",
		"wal_autocheckpoint": "0", "trusted_schema": "0", "temp_store": "2", "busy_timeout": "10000",
	}
	for _, pool := range []struct {
		name     string
		db       *sql.DB
		count    int
		readOnly string
	}{{"writer", s.w, 1, "0"}, {"readers", s.r, readers, "1"}} {
		for i := range pool.count {
			conn, err := pool.db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			common["query_only"] = pool.readOnly
			for pragma, want := range common {
				var got string
				if err := conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
					t.Errorf("%s %d: %s: got %q, %v, want %q", pool.name, i, pragma, got, err, want)
				}
			}
		}
	}
}

func TestMigrate(t *testing.T) {
	open := func(t *testing.T) *sql.DB {
		t.Helper()
		db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "x.db"))
		if err != nil {
			t.Fatal(err)
		}
		db.SetMaxOpenConns(1)
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	version := func(t *testing.T, db *sql.DB) (v int) {
		t.Helper()
		if err := db.QueryRow("PRAGMA user_version").Scan(&v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	one, two := "CREATE TABLE a (x INTEGER)", "INSERT INTO a VALUES (7)"
	t.Run("forward, keeping what is there", func(t *testing.T) {
		db := open(t)
		for _, steps := range [][]string{{one}, {one}, {one, two}, {one, two}} {
			if err := migrate(t.Context(), db, steps); err != nil {
				t.Fatal(err)
			}
			if got := version(t, db); got != len(steps) {
				t.Fatalf("got version %d, want %d", got, len(steps))
			}
		}
		var n int
		if err := db.QueryRow("SELECT count(*) FROM a").Scan(&n); err != nil || n != 1 {
			t.Errorf("got %d rows, %v, want 1: a step ran twice or never", n, err)
		}
	})
	t.Run("a step that fails changes nothing", func(t *testing.T) {
		db := open(t)
		if err := migrate(t.Context(), db, []string{one, "nonsense"}); err == nil || !strings.Contains(err.Error(), "schema 2") {
			t.Fatalf("got %v, want an error naming schema 2", err)
		}
		if got := version(t, db); got != 0 {
			t.Errorf("got version %d, want 0", got)
		}
		if err := migrate(t.Context(), db, []string{one}); err != nil {
			t.Errorf("the first step was kept: %v", err)
		}
	})
	t.Run("never back", func(t *testing.T) {
		db := open(t)
		if err := migrate(t.Context(), db, []string{one, two}); err != nil {
			t.Fatal(err)
		}
		if err := migrate(t.Context(), db, []string{one}); !errors.Is(err, ErrNewerSchema) {
			t.Errorf("got %v, want ErrNewerSchema", err)
		}
	})
}

func TestCloseTwiceAndAfter(t *testing.T) {
	s := newStore(t)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Put(t.Context(), []*notary.Record{newRecord("late")}); err == nil {
		t.Error("Put after Close succeeded")
	}
	if _, err := s.Get(t.Context(), trial.ID{1}); err == nil || errors.Is(err, notary.ErrNotFound) {
		t.Errorf("got %v, want an error that is not ErrNotFound", err)
	}
	if _, err := os.Stat(s.Path() + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the write-ahead log was left: %v", err)
	}
}

func TestPathsWithOddNames(t *testing.T) {
	for _, name := range []string{"a b.db", "what?mode=memory.db", "50%25.db", "#1&x=y.db", "ü.db"} {
		path := filepath.Join(t.TempDir(), name)
		if err := Create(path); err != nil {
			t.Fatal(name, err)
		}
		s := openStore(t, path)
		if _, err := s.Put(t.Context(), []*notary.Record{newRecord(name)}); err != nil {
			t.Fatal(name, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(name, err)
		}
		if pending, err := openStore(t, path).Pending(context.Background()); err != nil || len(pending) != 1 {
			t.Errorf("%s: got %d statements, %v, want 1", name, len(pending), err)
		}
	}
}
