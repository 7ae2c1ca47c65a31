package store

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
)

// TestConcurrent writes and reads at once, from two openers of one file. Each
// reader sees a log without holes in what one write placed, and a mark that
// never goes back.
func TestConcurrent(t *testing.T) {
	const writers, rounds, batch = 4, 8, 8
	s := newStore(t)
	stores := []*Store{s, openStore(t, s.Path())}
	var next atomic.Uint64
	var writing, reading sync.WaitGroup
	done := make(chan struct{})

	for w := range writers {
		writing.Go(func() {
			s := stores[w%len(stores)]
			for round := range rounds {
				var records []*notary.Record
				var placed []notary.Placed
				from := next.Add(batch) - batch
				for i := range uint64(batch) {
					r := newRecord(fmt.Sprint(w, " ", round, " ", i), func(r *notary.Record) { r.Site = fmt.Sprint(w) })
					records = append(records, r)
					placed = append(placed, notary.Placed{ID: r.ID, Index: from + i})
				}
				if _, err := s.Put(t.Context(), records); err != nil {
					t.Error(err)
				}
				if err := s.Place(t.Context(), placed); err != nil {
					t.Error(err)
				}
				if err := s.RecordRefusal(t.Context(), Refusal{Method: "m"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Go(func() {
		held := notary.Mark{}
		for size := range uint64(rounds) {
			if err := s.AdvanceMark(t.Context(), held, mark(size)); err != nil {
				t.Error(err)
			}
			held = mark(size)
		}
	})
	for i := range 3 {
		reading.Go(func() {
			s := stores[i%len(stores)]
			var size uint64
			for {
				select {
				case <-done:
					return
				default:
				}
				size = readOnce(t, s, batch, size)
			}
		})
	}
	writing.Wait()
	close(done)
	reading.Wait()

	all, err := s.List(t.Context(), notary.Query{After: -1, Limit: 10000})
	if err != nil || len(all) != writers*rounds*batch {
		t.Errorf("got %d statements, %v, want %d", len(all), err, writers*rounds*batch)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// readOnce reads a list and the mark, and returns the mark's size.
func readOnce(t *testing.T, s *Store, batch int, size uint64) uint64 {
	t.Helper()
	records, err := s.List(t.Context(), notary.Query{After: -1, Limit: 10000})
	if err != nil {
		t.Error(err)
		return size
	}
	if len(records)%batch != 0 {
		t.Errorf("got %d statements, want whole batches of %d", len(records), batch)
	}
	for _, r := range records[:min(3, len(records))] {
		if _, err := s.Get(t.Context(), r.ID); err != nil {
			t.Error(err)
		}
	}
	m, ok, err := s.LoadMark(t.Context())
	if err != nil || ok && m != mark(m.Size) || m.Size < size {
		t.Errorf("got mark %v, %v, %v after size %d", m, ok, err, size)
	}
	return m.Size
}
