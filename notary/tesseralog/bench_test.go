package tesseralog

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial/benchtest"
)

// benchEntry has the size of a log entry of the service.
func benchEntry(i int) []byte {
	return append(fmt.Appendf(nil, "%020d", i), bytes.Repeat([]byte("x"), 480)...)
}

// BenchmarkProofs is what proofs cost the log: entries a second, by the clock and of
// CPU time, with 16,000 in flight, of which each waits for a checkpoint alone or is
// proven besides. The two take turns, so that what else the machine does falls on
// both.
func BenchmarkProofs(b *testing.B) {
	const entries = 40_000
	var rounds [2]struct{ clock, cpu time.Duration }
	for b.Loop() {
		for _, proofs := range []int{0, 1, 1, 0} {
			clock, cpu := addMany(b, entries, proofs == 1)
			rounds[proofs].clock += clock
			rounds[proofs].cpu += cpu
		}
	}
	for proofs, name := range []string{"entries", "proofs"} {
		n := float64(2 * entries * b.N)
		b.ReportMetric(n/rounds[proofs].clock.Seconds(), name+"/s")
		b.ReportMetric(n/rounds[proofs].cpu.Seconds(), name+"/CPU-s")
	}
}

// addMany fills a new log in batches, as the service does.
func addMany(b *testing.B, n int, proofs bool) (clock, cpu time.Duration) {
	b.Helper()
	const size, inFlight = 500, 32 // entries, batches
	f := newFixture(b)
	l := f.open()
	defer closeLog(b, l)
	entries := make([][]byte, n)
	for i := range entries {
		entries[i] = benchEntry(i)
	}
	runtime.GC()
	began, used := time.Now(), benchtest.CPU()
	slots := make(chan struct{}, inFlight)
	var group sync.WaitGroup
	for batch := range slices.Chunk(entries, size) {
		slots <- struct{}{}
		futures := make([]notary.Future, len(batch))
		for i, e := range batch {
			futures[i] = l.Add(b.Context(), e)
		}
		group.Go(func() {
			defer func() { <-slots }()
			finish(b, l, futures, proofs)
		})
	}
	group.Wait()
	return time.Since(began), benchtest.CPU() - used
}

// finish waits until the entries of a batch are published, or proves them.
func finish(b *testing.B, l *Log, futures []notary.Future, proofs bool) {
	b.Helper()
	indexes := make([]uint64, len(futures))
	for i, wait := range futures {
		var err error
		if indexes[i], err = wait(b.Context()); err != nil {
			b.Error(err)
			return
		}
	}
	if !proofs {
		if err := l.Await(b.Context(), slices.Max(indexes)); err != nil {
			b.Error(err)
		}
		return
	}
	if _, err := l.ProveAll(b.Context(), indexes); err != nil {
		b.Error(err)
	}
}

// BenchmarkProve builds proofs for entries of a published checkpoint, one by one
// all over the log, and for batches of the newest.
func BenchmarkProve(b *testing.B) {
	const n = 100_000
	f := newFixture(b)
	c := f.config()
	c.MaxInFlight = n
	l, err := Open(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	f.add(l, n)
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := l.Prove(b.Context(), uint64(i*7919%n)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("batch", func(b *testing.B) {
		indexes := make([]uint64, 500)
		for i := range indexes {
			indexes[i] = uint64(n - 1 - i)
		}
		for b.Loop() {
			if _, err := l.ProveAll(b.Context(), indexes); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(indexes)), "ns/proof")
	})
	closeLog(b, l)
}

// BenchmarkOpen opens a log of so many entries and closes it.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{0, 1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := newFixture(b)
			c := f.config()
			c.MaxInFlight = 200_000
			l, err := Open(b.Context(), c)
			if err != nil {
				b.Fatal(err)
			}
			if n > 0 {
				f.add(l, n)
			}
			closeLog(b, l)
			for b.Loop() {
				if l, err = Open(b.Context(), c); err != nil {
					b.Fatal(err)
				}
				closeLog(b, l)
			}
		})
	}
}

// BenchmarkCheck reports how many entries Check reads a second.
func BenchmarkCheck(b *testing.B) {
	f := newFixture(b)
	c := f.config()
	c.MaxInFlight = 100_000
	l, err := Open(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	f.add(l, 100_000)
	for b.Loop() {
		if _, err := l.Check(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "entries/s")
	closeLog(b, l)
}

// BenchmarkOneByOne is the time from Add to a proof with one entry in flight.
func BenchmarkOneByOne(b *testing.B) {
	f := newFixture(b)
	l := f.open()
	for i := 0; b.Loop(); i++ {
		finish(b, l, []notary.Future{l.Add(b.Context(), benchEntry(i))}, true)
	}
	closeLog(b, l)
}
