package store

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// TestDropTakesNoNeighbour: what is overwritten is the dropped statement's own.
func TestDropTakesNoNeighbour(t *testing.T) {
	const third = "(SELECT max(n) FROM statements)"
	const second = "(SELECT n FROM statements WHERE payload_at IS NOT NULL ORDER BY n LIMIT 1 OFFSET 1)"
	for what, harm := range map[string]string{
		"the neighbour's place": "UPDATE statements SET (payload_at, payload_size) = (SELECT payload_at, payload_size FROM statements WHERE n = " + second + ") WHERE n = " + third,
		"a part of it":          "UPDATE statements SET payload_at = (SELECT payload_at + 100 FROM statements WHERE n = " + second + ") WHERE n = " + third,
		"more than its own":     "UPDATE statements SET payload_at = payload_at - 9000, payload_size = payload_size + 9000 WHERE n = " + third,
	} {
		t.Run(what, func(t *testing.T) {
			path, large := largeStore(t)
			want := readFile(t, path+payloadsSuffix)
			execForeign(t, path, harm)
			s := openStore(t, path)
			if err := s.Drop(t.Context(), []trial.ID{large[2].ID}); !errors.Is(err, notary.ErrStoreDamaged) {
				t.Errorf("got %v, want ErrStoreDamaged", err)
			}
			if !bytes.Equal(readFile(t, path+payloadsSuffix), want) {
				t.Error("the file of payloads changed")
			}
			wantKeptAway(t, s, large)
			var left int
			if err := s.r.QueryRowContext(t.Context(), "SELECT count(*) FROM statements").Scan(&left); err != nil || left != 5 {
				t.Errorf("got %d statements, %v, want all 4 and a new one", left, err)
			}
		})
	}
}

// TestEraseTakesNoNeighbour: the list of what is to be overwritten may be damaged
// too.
func TestEraseTakesNoNeighbour(t *testing.T) {
	for what, dropped := range map[string]string{
		"the whole payload": "SELECT payload_at, payload_size FROM statements WHERE payload_at IS NOT NULL ORDER BY n LIMIT 1",
		"its first byte":    "SELECT payload_at - 9, 10 FROM statements WHERE payload_at IS NOT NULL ORDER BY n LIMIT 1",
		"its last byte":     "SELECT payload_at + payload_size - 1, 1 FROM statements WHERE payload_at IS NOT NULL ORDER BY n DESC LIMIT 1",
		"everything":        "SELECT 30, max(payload_at + payload_size) - 30 FROM statements",
		"the header":        "SELECT 3, 3",
	} {
		t.Run(what, func(t *testing.T) {
			path, large := largeStore(t)
			want := readFile(t, path+payloadsSuffix)
			execForeign(t, path, "INSERT INTO dropped "+dropped)
			s := openStore(t, path)
			if _, err := s.Put(t.Context(), []*notary.Record{newRecord("next")}); err != nil {
				t.Fatal(err) // it is stored, and the overwriting comes after it
			}
			if !bytes.Equal(readFile(t, path+payloadsSuffix), want) {
				t.Error("the file of payloads changed")
			}
			wantKeptAway(t, s, large)
			if err := s.Check(t.Context()); !errors.Is(err, notary.ErrStoreDamaged) || !strings.Contains(err.Error(), "are to be overwritten") {
				t.Errorf("check: got %v, want it to name what must not be overwritten", err)
			}
			if _, err := s.Get(t.Context(), large[0].ID); err != nil {
				t.Error(err)
			}
		})
	}
}

// wantKeptAway demands that a store which met damage and kept away from it goes on
// taking large statements, and has those that are in order.
func wantKeptAway(t *testing.T, s *Store, large []*notary.Record) {
	t.Helper()
	if err := s.Err(); err != nil {
		t.Errorf("got %v, want a store that takes writes", err)
	}
	next := largeRecord("kept away")
	if _, err := s.Put(t.Context(), []*notary.Record{next}); err != nil {
		t.Error(err)
	}
	for _, r := range []*notary.Record{large[0], large[1], next} {
		if _, err := s.Get(t.Context(), r.ID); err != nil {
			t.Error(err)
		}
	}
}

// TestEraseOfTheOthers: one damaged place keeps no other statement's bytes.
func TestEraseOfTheOthers(t *testing.T) {
	path, large := largeStore(t)
	execForeign(t, path, "INSERT INTO dropped SELECT 3, 3")
	s := openStore(t, path)
	if err := s.Drop(t.Context(), []trial.ID{large[2].ID}); !errors.Is(err, notary.ErrStoreDamaged) {
		t.Errorf("got %v, want ErrStoreDamaged for the damaged place", err)
	}
	if bytes.Contains(readFile(t, path+payloadsSuffix), []byte("third-150.json")) {
		t.Error("the dropped bytes are still in the file")
	}
	wantKeptAway(t, s, large)
}

// TestPagesStillStopIt: damage of the database itself may spread with the next write.
func TestPagesStillStopIt(t *testing.T) {
	s := newStore(t)
	putPlaced(t, s, 0, newRecord("first"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b := readFile(t, s.Path())
	page := rootPage(b, "pending")
	clear(b[(page-1)*pageSize : page*pageSize])
	if err := os.WriteFile(s.Path(), b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(s.Path())
	if err == nil {
		defer s.Close()
		_, err = s.Put(t.Context(), []*notary.Record{newRecord("next")})
		if s.Err() == nil {
			t.Error("the store takes writes on a damaged page")
		}
	}
	if !errors.Is(err, notary.ErrStoreDamaged) {
		t.Errorf("got %v, want ErrStoreDamaged", err)
	}
}

// TestEraseOfWhatTheFileHasNot makes no file longer.
func TestEraseOfWhatTheFileHasNot(t *testing.T) {
	path, _ := largeStore(t)
	s := openStore(t, path)
	want := readFile(t, path+payloadsSuffix)
	for _, e := range []extent{{int64(len(want)) - 1, 2}, {1 << 40, 10}, {100, 1 << 60}, {1 << 62, 1 << 62}, {100, -5}, {-1, 2}} {
		tx, err := s.w.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.payloads.erasable(t.Context(), tx, e); !errors.Is(err, notary.ErrStoreDamaged) {
			t.Errorf("%d bytes at %d: got %v, want ErrStoreDamaged", e.size, e.at, err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
}
