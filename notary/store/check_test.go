package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// filled returns a closed store with some of everything: call it for the path of
// a fresh copy.
func filled(t *testing.T) func(*testing.T) string {
	t.Helper()
	s := newStore(t)
	s.maxRecent = 10
	var records []*notary.Record
	for i := range 40 {
		records = append(records, newRecord(fmt.Sprint("placed ", i), func(r *notary.Record) {
			r.Envelope.Payload = append(bytes.Repeat([]byte(fmt.Sprint("placed payload ", i, " ")), 40), '\n')
			r.Site, r.Authority = fmt.Sprint(700+i%3), i%7 == 0
			r.Registry = []string{fmt.Sprint("nct:", i)}
		}))
	}
	putPlaced(t, s, 0, records...)
	if _, err := s.Put(t.Context(), []*notary.Record{newRecord("pending 1"), newRecord("pending 2")}); err != nil {
		t.Fatal(err)
	}
	if err := s.AdvanceMark(t.Context(), notary.Mark{}, mark(40)); err != nil {
		t.Fatal(err)
	}
	if err := s.AddUser(t.Context(), User{Name: "u", TokenHash: token("u"), Grants: []Grant{{Role: RoleSite, Trial: trial.ID{1}, Sites: []string{"701"}}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "copy.db")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

// checkDamaged opens the file and wants Check to say each of the texts.
func checkDamaged(t *testing.T, path string, says ...string) {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	defer s.Close()
	// At once, and in pieces.
	for _, ctx := range []context.Context{t.Context(), notary.WithShare(t.Context(), 0.9)} {
		err = s.Check(ctx)
		var damage *Damage
		if !errors.Is(err, notary.ErrStoreDamaged) || !errors.As(err, &damage) || damage.Path != path {
			t.Fatalf("got %v, want *Damage of the file", err)
		}
		for _, text := range says {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("got %v, want it to say %q", err, text)
			}
		}
	}
}

// TestCheckFindsPages overwrites the first page of each table and index.
func TestCheckFindsPages(t *testing.T) {
	fresh := filled(t)
	for _, name := range []string{"statements", "registry", "pending", "entries", "pieces",
		"entries_trial", "entries_trial_site_kind", "entries_authority", "registry_number", "sqlite_autoindex_statements_1"} {
		t.Run(name, func(t *testing.T) {
			path := fresh(t)
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			page := rootPage(file, name)
			copy(file[(page-1)*pageSize:], bytes.Repeat([]byte{0xee}, 64))
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			checkDamaged(t, path, fmt.Sprintf("Tree %d (%s) page %d", page, name, page))
		})
	}
}

// TestCheckFindsBits flips single bits of texts, which SQLite does not notice.
func TestCheckFindsBits(t *testing.T) {
	fresh := filled(t)
	for name, tc := range map[string]struct{ text, says string }{
		"payload":   {"placed payload 7 ", "its payload hashes to"},
		"signature": {"signature of placed 7", "its log entry hashes to"},
		"key":       {"key of a site", "its key hashes to"},
	} {
		t.Run(name, func(t *testing.T) {
			path := fresh(t)
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			at := bytes.LastIndex(file, []byte(tc.text))
			if at < 0 {
				t.Fatal("the text is not in the file")
			}
			file[at+1] ^= 1
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			checkDamaged(t, path, tc.says)
		})
	}
}

// TestCheckFindsRows changes single rows, as another program might.
func TestCheckFindsRows(t *testing.T) {
	fresh := filled(t)
	for _, tc := range []struct{ name, query, says string }{
		{"placed and pending", "INSERT INTO pending SELECT n FROM entries WHERE idx = 3", "neither pending nor placed, or both"},
		{"neither", "DELETE FROM pending", "neither pending nor placed, or both"},
		{"site", "UPDATE entries SET site = '799' WHERE idx = 3", "entry 3: differs from its statement"},
		{"site of the statement", "UPDATE statements SET site = '799' WHERE n = 3", "differs from its statement"},
		{"authority", "UPDATE entries SET authority = 1 - authority WHERE idx = 3", "entry 3: differs from its statement"},
		{"log time", "UPDATE entries SET log_time = 5 WHERE idx = 20", "entry 20: its log time is before"},
		{"no log time", "UPDATE entries SET log_time = NULL WHERE idx = 20", "entry 20: its log time is before"},
		{"lookup", "UPDATE pieces SET pairs = zeroblob(length(pairs))", "not found by its "},
		{"piece lost", "DELETE FROM pieces WHERE piece = (SELECT min(piece) FROM pieces)", "got 0 pieces, want 1"},
		{"piece out of order", "UPDATE pieces SET pairs = CAST(substr(pairs, 17) || substr(pairs, 1, 16) AS BLOB)", "out of order"},
		{"run is none", "UPDATE runs SET kind = 9", "is none"},
		{"entry lost", "DELETE FROM entries WHERE idx = 3", "neither pending nor placed, or both"},
		{"statement lost", "DELETE FROM statements WHERE n = 3", "refers to a row that table statements lacks"},
		{"user lost", "DELETE FROM users", "refers to a row that table users lacks"},
		{"payload", "UPDATE statements SET payload = x'00' WHERE n = 3", "its payload hashes to"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := fresh(t)
			execForeign(t, path, tc.query) // without foreign keys
			checkDamaged(t, path, tc.says)
		})
	}
}

func TestCheckIsBounded(t *testing.T) {
	path := filled(t)(t)
	execForeign(t, path, "DELETE FROM entries")
	s := openStore(t, path)
	var damage *Damage
	if err := s.Check(t.Context()); !errors.As(err, &damage) || len(damage.Problems) != maxProblems {
		t.Errorf("got %v, want %d problems", err, maxProblems)
	}
}

// TestReadsOfDamage reads a damaged row: an error with a name, no panic.
func TestReadsOfDamage(t *testing.T) {
	path := filled(t)(t)
	execForeign(t, path, "DELETE FROM statements WHERE n = 3")
	s := openStore(t, path)
	if _, err := s.List(t.Context(), notary.Query{After: -1, Limit: 100}); !errors.Is(err, notary.ErrStoreDamaged) {
		t.Errorf("got %v, want ErrStoreDamaged", err)
	}
}
