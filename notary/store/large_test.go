package store

import (
	"crypto/rand"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/benchtest"
)

// BenchmarkLarge stores and places batches of 512 in a store that already holds
// as many statements as NOTARY_BENCH_STATEMENTS says, or none. It reports CPU
// time: on a large store most of it goes to the pages that random keys touch.
func BenchmarkLarge(b *testing.B) {
	batch := 4096
	held, _ := strconv.Atoi(os.Getenv("NOTARY_BENCH_STATEMENTS"))
	s := newStore(b)
	var put, place time.Duration
	index := uint64(0)
	step := func() {
		records := benchRecords(int(index), batch)
		placed := make([]notary.Placed, batch)
		for i, r := range records {
			var digest [32]byte
			_, _ = rand.Read(digest[:]) // never fails
			r.Subjects = []trial.Subject{{Name: "vs.json", Digests: trial.SHA256(digest)}}
			placed[i] = notary.Placed{ID: r.ID, Index: index}
			index++
		}
		put, place = timed(b, s, records, placed, put, place)
	}
	for index < uint64(held) {
		step()
	}
	put, place, batch = 0, 0, 512
	for b.Loop() {
		step()
	}
	n := float64(b.N * batch)
	b.ReportMetric(float64(put.Nanoseconds())/n, "put-CPU-ns/statement")
	b.ReportMetric(float64(place.Nanoseconds())/n, "place-CPU-ns/statement")
}

// timed stores and places records, and adds the CPU time of each.
func timed(b *testing.B, s *Store, records []*notary.Record, placed []notary.Placed, put, place time.Duration) (_, _ time.Duration) {
	b.Helper()
	began := benchtest.CPU()
	if _, err := s.Put(b.Context(), records); err != nil {
		b.Fatal(err)
	}
	stored := benchtest.CPU()
	if err := s.Place(b.Context(), placed); err != nil {
		b.Fatal(err)
	}
	return put + stored - began, place + benchtest.CPU() - stored
}
