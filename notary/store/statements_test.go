package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// fullRecord has a value in every field.
func fullRecord() *notary.Record {
	return newRecord("full", func(r *notary.Record) {
		r.Envelope.KeyID = strings.Repeat("ab", 32)
		r.Envelope.Payload = bytes.Repeat([]byte("\x00\xff payload \n"), 3000) // crosses pages
		r.Site, r.Version, r.Supersedes = "701", "2.0", trial.ID{7}
		r.Kind, r.Authority = trial.KindKeyEnrolment, true
		r.Registry = []string{"nct:NCT01234567", "euct:2023-501234-10"}
		hash := strings.Repeat("0f", 32)
		r.Subjects = nil
		for i := range 12 { // more than 9: positions are not ordered as text
			r.Subjects = append(r.Subjects, trial.Subject{
				Name:    fmt.Sprintf("dm \"%d\" \\ é 中.json", 11-i),
				Digests: append(hexDigest("sha256", hash), hexDigest("tn-table-v1", strings.Repeat("1e", 32))...),
			})
		}
	})
}

func TestRoundTrip(t *testing.T) {
	s := newStore(t)
	for _, want := range []*notary.Record{
		fullRecord(),
		newRecord("plain"),
		newRecord("time mark", func(r *notary.Record) {
			r.Charter, r.Kind, r.Subjects = trial.ID{}, trial.KindTimeMark, nil
		}),
	} {
		if _, err := s.Put(t.Context(), []*notary.Record{want}); err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			byID, err := s.Get(t.Context(), want.ID)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(byID, asRead(want)) {
				t.Errorf("Get: got %+v, want %+v", byID, want)
			}
			byLeaf, err := s.ByLeaf(t.Context(), want.LeafHash)
			if err != nil || !reflect.DeepEqual(byLeaf, asRead(want)) {
				t.Errorf("ByLeaf: got %+v, %v, want %+v", byLeaf, err, want)
			}
			if i == 0 {
				putPlaced(t, s, uint64(want.ID[0]), want)
			}
		}
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNotFound(t *testing.T) {
	s := newStore(t)
	for name, call := range map[string]func() error{
		"Get":        func() error { _, err := s.Get(t.Context(), trial.ID{9}); return err },
		"ByLeaf":     func() error { _, err := s.ByLeaf(t.Context(), [32]byte{9}); return err },
		"MarkBefore": func() error { _, err := s.MarkBefore(t.Context(), math.MaxUint64); return err },
		"Authority":  func() error { _, err := s.Authority(t.Context(), trial.ID{9}); return err },
		"Place":      func() error { return s.Place(t.Context(), []notary.Placed{{ID: trial.ID{9}}}) },
	} {
		if err := call(); !errors.Is(err, notary.ErrNotFound) {
			t.Errorf("%s: got %v, want ErrNotFound", name, err)
		}
	}
	if trials, err := s.Trials(t.Context(), "nct:NCT00000000"); err != nil || len(trials) != 0 {
		t.Errorf("Trials: got %v, %v, want none", trials, err)
	}
}

func TestPutAgain(t *testing.T) {
	s := newStore(t)
	first := newRecord("one")
	if _, err := s.Put(t.Context(), []*notary.Record{first}); err != nil {
		t.Fatal(err)
	}
	// The same payload under another valid signature, between two new ones.
	second := newRecord("one", func(r *notary.Record) { r.Envelope.Sig = []byte("another signature") })
	held, err := s.Put(t.Context(), []*notary.Record{newRecord("two"), second, newRecord("three"), second})
	if err != nil || !slices.Equal(held, []trial.ID{first.ID, first.ID}) {
		t.Fatalf("got %v, %v held already, want the first statement twice", held, err)
	}
	if got, err := s.Get(t.Context(), first.ID); err != nil || !reflect.DeepEqual(got, asRead(first)) {
		t.Errorf("got %+v, %v, want the first envelope", got, err)
	}
	if _, err := s.ByLeaf(t.Context(), second.LeafHash); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound for the second envelope", err)
	}
	if pending, err := s.Pending(t.Context()); err != nil || len(pending) != 3 {
		t.Errorf("got %d pending, %v, want 3", len(pending), err)
	}
	// Placed and then put again: it stays placed.
	putPlaced(t, s, 5, first)
	if _, err := s.Put(t.Context(), []*notary.Record{second}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), first.ID); err != nil || !got.Logged || got.Index != 5 {
		t.Errorf("got %+v, %v, want index 5", got, err)
	}
	if pending, err := s.Pending(t.Context()); err != nil || len(pending) != 2 {
		t.Errorf("got %d pending, %v, want 2", len(pending), err)
	}
}

func TestPutRefuses(t *testing.T) {
	s := newStore(t)
	for _, tc := range []struct {
		name   string
		change func(*notary.Record)
		says   string
	}{
		{"no ID", func(r *notary.Record) { r.ID = trial.ID{} }, "got no ID"},
		{"no key", func(r *notary.Record) { r.KeyID = trial.KeyID{} }, "got no key ID"},
		{"no kind", func(r *notary.Record) { r.Kind = "" }, "got no kind"},
		{"placed", func(r *notary.Record) { r.Logged = true }, "before it is placed"},
		{"site with NUL", func(r *notary.Record) { r.Site = "7\x001" }, "invalid site"},
		{"version not UTF-8", func(r *notary.Record) { r.Version = "\xff" }, "invalid version"},
		{"registry with NUL", func(r *notary.Record) { r.Registry = []string{"\x00"} }, "invalid registry number"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			good, bad := newRecord("good "+tc.name), newRecord("bad")
			tc.change(bad)
			_, err := s.Put(t.Context(), []*notary.Record{good, bad})
			if err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "statement 2 of 2") {
				t.Errorf("got %v, want an error saying %q of statement 2", err, tc.says)
			}
			if _, err := s.Get(t.Context(), good.ID); !errors.Is(err, notary.ErrNotFound) {
				t.Errorf("got %v, want nothing stored", err)
			}
		})
	}
}

// TestPutFailsWhole breaks a batch inside the transaction.
func TestPutFailsWhole(t *testing.T) {
	s := newStore(t)
	held := newRecord("held")
	if _, err := s.Put(t.Context(), []*notary.Record{held}); err != nil {
		t.Fatal(err)
	}
	good, clash := newRecord("good"), newRecord("clash")
	clash.Version = "clash"
	if _, err := s.w.Exec(`CREATE TEMP TRIGGER clash BEFORE INSERT ON statements WHEN NEW.version = 'clash' BEGIN SELECT RAISE(ABORT, 'clash'); END`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), []*notary.Record{good, clash}); err == nil || !strings.Contains(err.Error(), clash.ID.String()) {
		t.Fatalf("got %v, want an error naming the statement", err)
	}
	if _, err := s.Get(t.Context(), good.ID); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if _, err := s.Put(t.Context(), []*notary.Record{good}); err != nil {
		t.Errorf("the writer is stuck: %v", err)
	}
	if got, err := s.ByLeaf(t.Context(), good.LeafHash); err != nil || got.ID != good.ID {
		t.Errorf("by its leaf hash: got %v, %v, want the statement", got, err)
	}
	if _, err := s.ByLeaf(t.Context(), clash.LeafHash); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestPutFull(t *testing.T) {
	s := newStore(t)
	s.maxInRow = 1 << 20
	held := newRecord("held")
	if _, err := s.Put(t.Context(), []*notary.Record{held}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.w.Exec("PRAGMA max_page_count = 1"); err != nil { // SQLite makes it the present size
		t.Fatal(err)
	}
	small, big := newRecord("small"), newRecord("big", func(r *notary.Record) { r.Envelope.Payload = make([]byte, 400<<10) })
	if _, err := s.Put(t.Context(), []*notary.Record{small, big}); !errors.Is(err, notary.ErrStoreFull) || !strings.Contains(err.Error(), s.Path()) {
		t.Fatalf("got %v, want ErrStoreFull naming the file", err)
	}
	if pending, err := s.Pending(t.Context()); err != nil || len(pending) != 1 || pending[0].ID != held.ID {
		t.Errorf("got %d pending, %v, want the one that was held", len(pending), err)
	}
	if _, err := s.w.Exec("PRAGMA max_page_count = 100000"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), []*notary.Record{small, big}); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestContext(t *testing.T) {
	s := newStore(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	r := newRecord("one")
	for name, call := range map[string]func() error{
		"Put":         func() error { _, err := s.Put(ended, []*notary.Record{r}); return err },
		"Place":       func() error { return s.Place(ended, []notary.Placed{{ID: r.ID}}) },
		"List":        func() error { _, err := s.List(ended, notary.Query{After: -1, Limit: 1}); return err },
		"Get":         func() error { _, err := s.Get(ended, r.ID); return err },
		"AdvanceMark": func() error { return s.AdvanceMark(ended, notary.Mark{}, notary.Mark{Size: 1}) },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want context.Canceled", name, err)
		}
	}
	if pending, err := s.Pending(t.Context()); err != nil || len(pending) != 0 {
		t.Errorf("got %d pending, %v, want none", len(pending), err)
	}
}

func TestAuthorityAndTrials(t *testing.T) {
	s := newStore(t)
	charter := func(name string, registry ...string) *notary.Record {
		r := newRecord(name, func(r *notary.Record) {
			r.Kind, r.Authority, r.Registry = trial.KindCharter, true, registry
		})
		r.Charter = sha256.Sum256(r.Envelope.Payload)
		return r
	}
	of := func(c *notary.Record, name string, authority bool, registry ...string) *notary.Record {
		return newRecord(name, func(r *notary.Record) { r.Charter, r.Authority, r.Registry = c.ID, authority, registry })
	}
	c1, c2, c3 := charter("c1", "nct:1", "euct:1"), charter("c2", "nct:2"), charter("c3", "nct:1")
	early := of(c1, "early", true) // stands before its charter
	putPlaced(t, s, 0, early, c2, c1, of(c1, "data", false), of(c2, "enrol", true), of(c1, "enrol1", true),
		of(c2, "registration", false, "nct:1"), of(c1, "registration1", false, "nct:1"))
	if _, err := s.Put(t.Context(), []*notary.Record{c3, of(c1, "not yet", true)}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Authority(t.Context(), c1.ID)
	if err != nil {
		t.Fatal(err)
	}
	var indexes []uint64
	for _, r := range got {
		indexes = append(indexes, r.Index)
	}
	if want := []uint64{2, 0, 5}; !reflect.DeepEqual(indexes, want) {
		t.Errorf("got indexes %v, want %v", indexes, want)
	}
	for name, id := range map[string]trial.ID{"pending": c3.ID, "no charter": early.ID} {
		if _, err := s.Authority(t.Context(), id); !errors.Is(err, notary.ErrNotFound) {
			t.Errorf("%s: got %v, want ErrNotFound", name, err)
		}
	}
	for number, want := range map[string][]trial.ID{
		"nct:1": {c1.ID, c2.ID}, "nct:2": {c2.ID}, "euct:1": {c1.ID}, "nct:": nil, "": nil,
	} {
		if got, err := s.Trials(t.Context(), number); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Trials(%q): got %v, %v, want %v", number, got, err, want)
		}
	}
}

func TestMarkBefore(t *testing.T) {
	s := newStore(t)
	mark := func(name string) *notary.Record {
		return newRecord(name, func(r *notary.Record) { r.Charter, r.Kind = trial.ID{}, trial.KindTimeMark })
	}
	m1, m2 := mark("m1"), mark("m2")
	putPlaced(t, s, 0, newRecord("a"), m1, newRecord("b"), newRecord("c"), m2)
	if _, err := s.Put(t.Context(), []*notary.Record{mark("pending")}); err != nil {
		t.Fatal(err)
	}
	for index, want := range map[uint64]*notary.Record{2: m1, 3: m1, 4: m1, 5: m2, math.MaxUint64: m2} {
		if got, err := s.MarkBefore(t.Context(), index); err != nil || got.ID != want.ID {
			t.Errorf("MarkBefore(%d): got %v, %v, want %s", index, got, err, want.ID)
		}
	}
	for _, index := range []uint64{0, 1} {
		if _, err := s.MarkBefore(t.Context(), index); !errors.Is(err, notary.ErrNotFound) {
			t.Errorf("MarkBefore(%d): got %v, want ErrNotFound", index, err)
		}
	}
}
