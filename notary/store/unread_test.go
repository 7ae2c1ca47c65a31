package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// byFile lists a trial's statements about a record's file.
func byFile(t *testing.T, s *Store, r *notary.Record, file int) ([]*notary.Record, error) {
	t.Helper()
	sum, _ := r.Subjects[file].Digests.Get("sha256")
	return s.List(t.Context(), notary.Query{Digest: trial.ID(sum).String(), After: -1, Limit: 2})
}

func flipAt(t *testing.T, name string, at int) {
	t.Helper()
	b := readFile(t, name)
	b[at] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestUnreadIsNoAnswer: while a payload is damaged nobody learns that its files were
// not notarized, also when a run was written meanwhile. Once it is restored they
// are found.
func TestUnreadIsNoAnswer(t *testing.T) {
	path, large := largeStore(t)
	name := path + payloadsSuffix
	at := bytes.Index(readFile(t, name), large[0].Envelope.Payload) + 100
	flipAt(t, name, at)
	damaged := func(s *Store) {
		t.Helper()
		if list, err := byFile(t, s, large[0], 150); !errors.Is(err, notary.ErrStoreDamaged) {
			t.Errorf("got %d statements, %v, want ErrStoreDamaged", len(list), err)
		}
		if list, err := s.List(t.Context(), notary.Query{Charter: &trial.ID{2}, Digest: trial.ID{1}.String(), After: -1, Limit: 2}); err != nil || len(list) > 0 {
			t.Errorf("in another trial: got %d statements, %v", len(list), err)
		}
	}
	for round := range 2 { // the second one begins with what the first has written
		s, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		damaged(s)
		s.maxRecent = 4
		for i := range 80 { // so many digests are a run
			if _, err := s.Put(t.Context(), []*notary.Record{newRecord(fmt.Sprint(round, " ", i))}); err != nil {
				t.Fatal(err)
			}
		}
		damaged(s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := openStore(t, path)
	damaged(s)
	flipAt(t, name, at)
	found := func() {
		t.Helper()
		if list, err := byFile(t, s, large[0], 150); err != nil || len(list) != 1 || list[0].ID != large[0].ID {
			t.Errorf("got %v, %v, want the restored statement", list, err)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
	}
	found() // by the process that met the damage
	s = openStore(t, path)
	found()
	s.maxRecent = 1
	if _, err := s.Put(t.Context(), []*notary.Record{newRecord("last")}); err != nil {
		t.Fatal(err)
	}
	found()
	var left int
	if err := s.r.QueryRowContext(t.Context(), "SELECT count(*) FROM unread").Scan(&left); err != nil || left != 0 {
		t.Errorf("got %d statements that were not read, %v, want none", left, err)
	}
}

// TestUnreadableInAList: whoever can do without the content of a damaged statement
// gets the others, and which one it is.
func TestUnreadableInAList(t *testing.T) {
	path, large := largeStore(t) // the small one is entry 1
	name := path + payloadsSuffix
	flipAt(t, name, bytes.Index(readFile(t, name), large[0].Envelope.Payload)+100)
	execForeign(t, path, "UPDATE statements SET payload = CAST(replace(CAST(payload AS TEXT), 'small', 'SMALL') AS BLOB) WHERE payload_at IS NULL")
	s := openStore(t, path)
	for _, limit := range []int{1, 2, 9} {
		q := notary.Query{After: -1, Limit: limit, MaxBytes: 1, Unreadable: true}
		var got []*notary.Record
		for {
			list, err := s.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 0 {
				break
			}
			got = append(got, list...)
			q.After = int64(list[len(list)-1].Index)
		}
		if len(got) != 3 {
			t.Fatalf("limit %d: got %d statements, want 3", limit, len(got))
		}
		for i, r := range got {
			damaged := i < 2
			if r.Index != uint64(i) || r.ID.IsZero() || r.Kind != trial.KindDataset || errors.Is(r.Unreadable, notary.ErrStoreDamaged) != damaged || (r.Envelope.Payload == nil) != damaged {
				t.Errorf("limit %d: got %+v, want entry %d, damaged: %t", limit, r, i, damaged)
			}
		}
		if err := got[0].Unreadable; err == nil || !strings.Contains(err.Error(), large[0].ID.String()) {
			t.Errorf("got %v, want it to name the statement", err)
		}
	}
	if list, err := s.List(t.Context(), notary.Query{After: -1, Limit: 9}); !errors.Is(err, notary.ErrStoreDamaged) {
		t.Errorf("for who needs all of it: got %d statements, %v, want ErrStoreDamaged", len(list), err)
	}
	for i, id := range []trial.ID{large[0].ID, newRecord("small").ID, large[1].ID} {
		if _, err := s.Get(t.Context(), id); errors.Is(err, notary.ErrStoreDamaged) != (i < 2) {
			t.Errorf("entry %d by its id: got %v", i, err)
		}
	}
	damagedFile, _ := large[0].Subjects[150].Digests.Get("sha256")
	q := notary.Query{After: -1, Limit: 9, Unreadable: true, Digest: trial.ID(damagedFile).String()}
	if list, err := s.List(t.Context(), q); !errors.Is(err, notary.ErrStoreDamaged) {
		t.Errorf("by a file: got %d statements, %v, want ErrStoreDamaged", len(list), err)
	}
}

// TestUnreadIsNotFoundInARow: a digest that changed still looks like one.
func TestUnreadIsNotFoundInARow(t *testing.T) {
	s := newStore(t)
	r := newRecord("small")
	putPlaced(t, s, 0, r)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	digest, _ := r.Subjects[0].Digests.Get("sha256")
	text := trial.ID(digest).String()
	execForeign(t, s.Path(), fmt.Sprintf("UPDATE statements SET payload = CAST(replace(CAST(payload AS TEXT), '%s', '%064x') AS BLOB)", text, 5))
	s = openStore(t, s.Path())
	if list, err := byFile(t, s, r, 0); !errors.Is(err, notary.ErrStoreDamaged) {
		t.Errorf("got %d statements, %v, want ErrStoreDamaged", len(list), err)
	}
}

// TestUnreadForNow: what may be readable the next time is no damage.
func TestUnreadForNow(t *testing.T) {
	path, large := largeStore(t)
	s := openStore(t, path)
	if err := s.payloads.file.Close(); err != nil { // as if no descriptor were left
		t.Fatal(err)
	}
	if list, err := byFile(t, s, large[0], 150); err == nil || errors.Is(err, notary.ErrStoreDamaged) {
		t.Errorf("got %d statements, %v, want an error that is no damage", len(list), err)
	}
	if s.lookups.get() != nil {
		t.Error("lookups are kept that lack what could not be read")
	}
	file, err := os.OpenFile(path+payloadsSuffix, os.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.payloads.file = file
	if list, err := byFile(t, s, large[0], 150); err != nil || len(list) != 1 {
		t.Errorf("got %d statements, %v, want 1", len(list), err)
	}
}
