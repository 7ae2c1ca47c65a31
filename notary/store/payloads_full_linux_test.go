package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
)

// TestPayloadsOnAFullDisk fills a small disk until a large payload does not fit. It is
// refused, what is there can be read, and once there is room the same store goes on.
func TestPayloadsOnAFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=16m,mode=0700"); err != nil {
		t.Skipf("mounting a small disk needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			_ = syscall.Unmount(disk, syscall.MNT_DETACH)
			t.Errorf("unmounting %s: %v", disk, err)
		}
	})
	path := filepath.Join(disk, "notary.db")
	if err := Create(path); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, path)
	filler := filepath.Join(disk, "filler")
	var held []*notary.Record
	for round := range 3 {
		var fs syscall.Statfs_t
		if err := syscall.Statfs(disk, &fs); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filler, make([]byte, int64(fs.Bavail)*fs.Bsize-2<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		full := false
		for i := 0; !full; i++ {
			// A batch of several, of which the first ones may still fit.
			batch := []*notary.Record{hugeRecord(round, 3*i), hugeRecord(round, 3*i+1), hugeRecord(round, 3*i+2)}
			_, err := s.Put(t.Context(), batch)
			switch {
			case errors.Is(err, notary.ErrStoreFull):
				full = true
				wantAbsent(t, s, batch)
			case err != nil:
				t.Fatal(err)
			default:
				held = append(held, batch...)
			}
		}
		if err := s.Err(); err != nil {
			t.Errorf("a full disk ended the writing: %v", err)
		}
		wantHeld(t, s, held)
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		next := largeRecord(fmt.Sprint("with room again ", round))
		if _, err := s.Put(t.Context(), []*notary.Record{next}); err != nil {
			t.Fatal(err)
		}
		held = append(held, next)
	}
	if err := errors.Join(s.Check(t.Context()), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, path)
	wantHeld(t, s, held)
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// hugeRecord is large enough that a few of them fill the disk.
func hugeRecord(round, i int) *notary.Record {
	return newRecord(fmt.Sprint(round, " ", i), func(r *notary.Record) {
		r.Envelope.Payload = payload(fmt.Sprint(round, " ", i, string(bytes.Repeat([]byte("x"), 100_000))), r.Subjects)
	})
}

func wantAbsent(t *testing.T, s *Store, records []*notary.Record) {
	t.Helper()
	for _, r := range records {
		if _, err := s.Get(t.Context(), r.ID); !errors.Is(err, notary.ErrNotFound) {
			t.Errorf("statement %s of a write that failed: got %v, want ErrNotFound", r.ID, err)
		}
	}
}

func wantHeld(t *testing.T, s *Store, records []*notary.Record) {
	t.Helper()
	for _, r := range records {
		if got, err := s.Get(t.Context(), r.ID); err != nil || !bytes.Equal(got.Envelope.Payload, r.Envelope.Payload) {
			t.Errorf("statement %s: got %v, want its payload", r.ID, err)
		}
	}
}
