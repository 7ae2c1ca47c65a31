package store

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

func TestPlace(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	later := at.Add(time.Minute)
	a, b, stranger := newRecord("a"), newRecord("b"), newRecord("stranger")
	put := func(id trial.ID, index uint64, t time.Time) notary.Placed {
		return notary.Placed{ID: id, Index: index, LogTime: t}
	}
	for _, tc := range []struct {
		name   string
		placed []notary.Placed
		want   error  // of the last one
		says   string // of any other error
		index  uint64 // of a in the end
		time   time.Time
	}{
		{name: "once", placed: []notary.Placed{put(a.ID, 4, at)}, index: 4, time: at},
		{name: "index 0, no time", placed: []notary.Placed{{ID: a.ID}}},
		{name: "again", placed: []notary.Placed{put(a.ID, 4, at), put(a.ID, 4, at)}, index: 4, time: at},
		{name: "again with the time of another mark", placed: []notary.Placed{put(a.ID, 4, later), put(a.ID, 4, at)}, index: 4, time: at},
		{name: "higher", placed: []notary.Placed{put(a.ID, 4, at), put(a.ID, 9, later)}, index: 4, time: at},
		{name: "lower", placed: []notary.Placed{put(a.ID, 9, later), put(a.ID, 4, at)}, index: 4, time: at},
		{name: "taken", placed: []notary.Placed{put(a.ID, 4, at), put(b.ID, 4, at)}, want: ErrIndexTaken, index: 4, time: at},
		{name: "not stored", placed: []notary.Placed{put(a.ID, 4, at), put(stranger.ID, 5, at)}, want: notary.ErrNotFound, index: 4, time: at},
		{name: "too large", placed: []notary.Placed{put(a.ID, 4, at), put(b.ID, math.MaxUint64, at)}, says: "invalid index", index: 4, time: at},
		{name: "too fine", placed: []notary.Placed{put(a.ID, 4, at), put(b.ID, 5, at.Add(1))}, says: "whole microseconds", index: 4, time: at},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStore(t)
			if _, err := s.Put(t.Context(), []*notary.Record{a, b}); err != nil {
				t.Fatal(err)
			}
			for i, p := range tc.placed {
				err := s.Place(t.Context(), []notary.Placed{p})
				last := i == len(tc.placed)-1
				switch {
				case last && tc.want != nil:
					if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), p.ID.String()) {
						t.Fatalf("got %v, want %v naming the statement", err, tc.want)
					}
				case last && tc.says != "":
					if err == nil || !strings.Contains(err.Error(), tc.says) {
						t.Fatalf("got %v, want an error saying %q", err, tc.says)
					}
				case err != nil:
					t.Fatal(err)
				}
			}
			got, err := s.Get(t.Context(), a.ID)
			if err != nil || !got.Logged || got.Index != tc.index || !got.LogTime.Equal(tc.time) {
				t.Errorf("got %+v, %v, want index %d at %v", got, err, tc.index, tc.time)
			}
			if err := s.Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPlaceFailsWhole(t *testing.T) {
	s := newStore(t)
	a := newRecord("a")
	if _, err := s.Put(t.Context(), []*notary.Record{a}); err != nil {
		t.Fatal(err)
	}
	err := s.Place(t.Context(), []notary.Placed{{ID: a.ID, Index: 1}, {ID: trial.ID{9}, Index: 2}})
	if !errors.Is(err, notary.ErrNotFound) {
		t.Fatalf("got %v, want ErrNotFound", err)
	}
	if got, err := s.Get(t.Context(), a.ID); err != nil || got.Logged {
		t.Errorf("got %+v, %v, want it pending", got, err)
	}
}

// TestPlaceMany places more than one statement of SQL writes at once, and some more.
func TestPlaceMany(t *testing.T) {
	const n = 2*entriesAtOnce + 3
	for _, tc := range []struct {
		name  string
		taken uint64 // an index that another statement has
		want  error
	}{
		{name: "free", taken: n},
		{name: "taken among many", taken: entriesAtOnce + 1, want: ErrIndexTaken},
		{name: "taken among the rest", taken: n - 1, want: ErrIndexTaken},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStore(t)
			other := newRecord("other")
			putPlaced(t, s, tc.taken, other)
			var records []*notary.Record
			var placed []notary.Placed
			for i := range n {
				r := newRecord(fmt.Sprint("one of many ", i))
				records, placed = append(records, r), append(placed, notary.Placed{ID: r.ID, Index: uint64(i)})
			}
			if _, err := s.Put(t.Context(), records); err != nil {
				t.Fatal(err)
			}
			if err := s.Place(t.Context(), placed); !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			got, err := s.List(t.Context(), notary.Query{After: -1, Limit: 2 * n})
			if err != nil {
				t.Fatal(err)
			}
			want := records
			if tc.want != nil {
				want = nil
			}
			want = append(want, other)
			if len(got) != len(want) {
				t.Fatalf("got %d statements, want %d", len(got), len(want))
			}
			for i := range got {
				if got[i].ID != want[i].ID {
					t.Errorf("at place %d: got statement %s, want %s", i, got[i].ID, want[i].ID)
				}
			}
			if err := s.Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPlaceAfterReopening places what this process does not remember, alone and
// beside what it does.
func TestPlaceAfterReopening(t *testing.T) {
	s := newStore(t)
	old, older := newRecord("stored before"), newRecord("stored before as well")
	if _, err := s.Put(t.Context(), []*notary.Record{old, older}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	fresh := newRecord("stored now")
	if _, err := s.Put(t.Context(), []*notary.Record{fresh}); err != nil {
		t.Fatal(err)
	}
	for _, batch := range [][]notary.Placed{{{ID: older.ID, Index: 1}}, {{ID: old.ID}, {ID: fresh.ID, Index: 2}}} {
		if err := s.Place(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.List(t.Context(), notary.Query{After: -1, Limit: 9})
	if err != nil || len(got) != 3 || got[0].ID != old.ID || got[1].ID != older.ID || got[2].ID != fresh.ID {
		t.Errorf("got %v, %v", got, err)
	}
	if err := s.Place(t.Context(), []notary.Placed{{ID: fresh.ID, Index: 2}}); err != nil {
		t.Errorf("placing again: %v", err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}
