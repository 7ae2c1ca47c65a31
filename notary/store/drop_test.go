package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

func TestPending(t *testing.T) {
	s := newStore(t)
	var want []trial.ID
	var records []*notary.Record
	for i := range 20 {
		r := newRecord(fmt.Sprint("p", i))
		records = append(records, r)
		want = append(want, r.ID)
	}
	for i := 0; i < 20; i += 5 {
		if _, err := s.Put(t.Context(), records[i:i+5]); err != nil {
			t.Fatal(err)
		}
	}
	putPlaced(t, s, 3, records[7])
	if err := s.Drop(t.Context(), []trial.ID{want[2], {9}}); err != nil {
		t.Fatal(err)
	}
	want = append(append(want[:2:2], want[3:7]...), want[8:]...)
	pending, err := s.Pending(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []trial.ID
	for _, r := range pending {
		if r.Logged {
			t.Errorf("statement %s is logged", r.ID)
		}
		got = append(got, r.ID)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestDropRefusesPlaced(t *testing.T) {
	s := newStore(t)
	a, b := newRecord("a"), newRecord("b")
	if _, err := s.Put(t.Context(), []*notary.Record{a}); err != nil {
		t.Fatal(err)
	}
	putPlaced(t, s, 3, b)
	err := s.Drop(t.Context(), []trial.ID{a.ID, b.ID})
	if !errors.Is(err, ErrPlaced) || !strings.Contains(err.Error(), b.ID.String()) {
		t.Fatalf("got %v, want ErrPlaced naming the statement", err)
	}
	for _, r := range []*notary.Record{a, b} {
		if _, err := s.Get(t.Context(), r.ID); err != nil {
			t.Errorf("statement %s: %v", r.ID, err)
		}
	}
}

// TestDropLeavesNoBytes looks into the files, beside and inside pages that other
// statements share.
func TestDropLeavesNoBytes(t *testing.T) {
	s := newStore(t)
	s.maxRecent = 1
	secret := []byte("SUBJECT-701-1015-NAME")
	big := newRecord("big", func(r *notary.Record) {
		r.Subjects[0].Name = string(secret) + ".json"
		r.Envelope.Payload = payload(strings.Repeat(string(secret), 5000), r.Subjects)
	})
	small := newRecord("small", func(r *notary.Record) {
		r.Envelope.Payload = payload("small "+string(secret), r.Subjects)
		r.Registry = []string{string(secret)}
	})
	// The first ones are read again for the lookups, those after them are written.
	for _, batch := range [][]*notary.Record{{newRecord("before")}, {big, small, newRecord("after")}} {
		if _, err := s.Put(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	fileHash := sha256.Sum256([]byte("file of small"))
	found := func() bool {
		for _, suffix := range []string{"", "-wal"} {
			b, err := os.ReadFile(s.Path() + suffix)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(b, secret[:8]) || bytes.Contains(b, small.LeafHash[:8]) || bytes.Contains(b, fileHash[:8]) {
				return true
			}
		}
		return false
	}
	if !found() {
		t.Fatal("the bytes were never there: the test proves nothing")
	}
	if err := s.TruncateLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !found() {
		t.Fatal("the bytes are not in the file: the test proves nothing")
	}
	if err := s.Drop(t.Context(), []trial.ID{big.ID, small.ID}); err != nil {
		t.Fatal(err)
	}
	if found() {
		t.Error("the dropped bytes are still in the files")
	}
	if pending, err := s.Pending(t.Context()); err != nil || len(pending) != 2 {
		t.Errorf("got %d pending, %v, want 2", len(pending), err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestDroppedNumbersStayUnused: the lookups of a store that is opened again rely on
// it.
func TestDroppedNumbersStayUnused(t *testing.T) {
	s := newStore(t)
	put := func(name string) (n int64) {
		t.Helper()
		r := newRecord(name)
		if _, err := s.Put(t.Context(), []*notary.Record{r}); err != nil {
			t.Fatal(err)
		}
		if err := s.r.QueryRowContext(t.Context(), "SELECT n FROM statements WHERE id = ?", r.ID[:]).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := put("dropped")
	if err := s.Drop(t.Context(), []trial.ID{newRecord("dropped").ID}); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, s.Path())
	if second := put("later"); second <= first {
		t.Errorf("got number %d after %d was dropped", second, first)
	}
}
