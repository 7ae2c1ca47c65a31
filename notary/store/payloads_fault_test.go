package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// TestPayloadsEndIsHeldAgainstTheTable: the index that tells where the payloads end
// may be damaged. Nothing that was acknowledged is taken for the leavings of a crash.
func TestPayloadsEndIsHeldAgainstTheTable(t *testing.T) {
	// The index is one leaf page: a count of cells, and where each of them is.
	count := func(page []byte) int { return int(binary.BigEndian.Uint16(page[3:])) }
	last := func(page []byte) []byte { return page[binary.BigEndian.Uint16(page[8+2*(count(page)-1):]):] }
	for what, harm := range map[string]func(page []byte){
		"less": func(page []byte) { last(page)[4] ^= 0x80 }, // a key of three bytes
		"more": func(page []byte) { last(page)[3] ^= 0x40 },
		"lost": func(page []byte) { binary.BigEndian.PutUint16(page[3:], uint16(count(page)-1)) },
		"none": func(page []byte) { clear(page[3:5]) },
		"zero": func(page []byte) { clear(page) },
	} {
		t.Run(what, func(t *testing.T) {
			path, _ := largeStore(t)
			payloads := readFile(t, path+payloadsSuffix)
			b := readFile(t, path)
			root := rootPage(b, "statements_payload_at")
			page := b[(root-1)*pageSize : root*pageSize]
			if cell := last(page); count(page) != 3 || cell[1] != 3 || cell[2] != 3 {
				t.Fatalf("the page is not as the test expects it: %d cells, the last % x", count(page), cell[:8])
			}
			harm(page)
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(path)
			if !errors.Is(err, notary.ErrStoreDamaged) || strings.Contains(err.Error(), payloadsSuffix) {
				t.Errorf("got %v, want ErrStoreDamaged, and of the database", err)
			}
			if err == nil {
				_, err := s.Put(t.Context(), []*notary.Record{newRecord("small too")})
				t.Log("storing:", err)
				_ = s.Close()
			}
			if !bytes.Equal(readFile(t, path+payloadsSuffix), payloads) {
				t.Error("the file of payloads changed")
			}
			// Whoever only reads is told what it is.
			if s, err = OpenReadOnly(path); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Check(t.Context()); !errors.Is(err, notary.ErrStoreDamaged) || !strings.Contains(err.Error(), "statements_payload_at") {
				t.Errorf("got %v, want damage of the index", err)
			}
		})
	}
}

// TestPayloadsNameIsDurable: whoever made the file may have been killed before its
// name was.
func TestPayloadsNameIsDurable(t *testing.T) {
	path, _ := largeStore(t)
	s := openStore(t, path)
	dirs := 0
	s.payloads.fsync = func(f *os.File) error {
		if f.Name() == filepath.Dir(path) {
			dirs++
		}
		return f.Sync()
	}
	for _, name := range []string{"a", "b"} {
		if _, err := s.Put(t.Context(), []*notary.Record{largeRecord(name)}); err != nil {
			t.Fatal(err)
		}
	}
	if dirs != 1 {
		t.Errorf("the folder was synced %d times, want once", dirs)
	}
}

// TestPayloadsAreNotSynced: whatever a failing sync says, also that there is no room,
// it ends the writing for good.
func TestPayloadsAreNotSynced(t *testing.T) {
	for _, dir := range []bool{false, true} { // the file, or the folder with its name
		s := newStore(t)
		s.payloads.fsync = func(f *os.File) error {
			if info, err := f.Stat(); err != nil || dir == info.IsDir() {
				return &os.PathError{Op: "sync", Path: f.Name(), Err: syscall.ENOSPC}
			}
			return f.Sync()
		}
		_, err := s.Put(t.Context(), []*notary.Record{largeRecord("large")})
		if !errors.Is(err, notary.ErrStoreFailed) || errors.Is(err, notary.ErrStoreFull) {
			t.Errorf("got %v, want ErrStoreFailed", err)
		}
		if s.payloads.end != 0 {
			t.Error("the file is called ready")
		}
		s.payloads.fsync = (*os.File).Sync
		if _, again := s.Put(t.Context(), []*notary.Record{newRecord("small")}); !errors.Is(again, notary.ErrStoreFailed) {
			t.Errorf("got %v, want ErrStoreFailed", again)
		}
	}
}

// TestPayloadsCannotBeOpened: nothing was written, so the next one tries again.
func TestPayloadsCannotBeOpened(t *testing.T) {
	var s *Store
	for _, inTheWay := range []func(name string) error{
		func(name string) error { return os.Mkdir(name, 0o700) },
		func(name string) error { return os.Symlink(filepath.Join(name, "nowhere"), name) },
		func(name string) error { return os.Symlink(filepath.Join(t.TempDir(), "no", "folder"), name) },
	} {
		s = newStore(t)
		name := s.Path() + payloadsSuffix
		if err := inTheWay(name); err != nil {
			t.Fatal(err)
		}
		large := largeRecord("large")
		if _, err := s.Put(t.Context(), []*notary.Record{large}); err == nil || errors.Is(err, notary.ErrStoreFailed) || s.Err() != nil {
			t.Errorf("got %v and %v, want an error that is not for good", err, s.Err())
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Put(t.Context(), []*notary.Record{large}); err != nil {
			t.Error(err)
		}
	}
	// From the start on it is open, and no descriptor is missed later.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s = openStore(t, s.Path()); s.payloads.file == nil {
		t.Error("the file was not opened with the store")
	}
}

// TestEraseIsRepeated: what could not be overwritten is, once that works.
func TestEraseIsRepeated(t *testing.T) {
	path, large := largeStore(t)
	s := openStore(t, path)
	if _, err := s.Put(t.Context(), []*notary.Record{newRecord("first of the process")}); err != nil {
		t.Fatal(err)
	}
	execForeign(t, path, "CREATE TRIGGER stop BEFORE DELETE ON dropped BEGIN SELECT raise(ABORT, 'stop'); END")
	if err := s.Drop(t.Context(), []trial.ID{large[2].ID}); err == nil {
		t.Fatal("got no error")
	}
	execForeign(t, path, "DROP TRIGGER stop")
	if _, err := s.Put(t.Context(), []*notary.Record{newRecord("next")}); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := s.r.QueryRowContext(t.Context(), "SELECT count(*) FROM dropped").Scan(&left); err != nil || left != 0 {
		t.Errorf("got %d parts to overwrite, %v, want none", left, err)
	}
}
