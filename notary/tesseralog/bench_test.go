package tesseralog

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
)

// benchEntry has the size of a log entry of the service.
func benchEntry(i int) []byte {
	return append(fmt.Appendf(nil, "%020d", i), bytes.Repeat([]byte("x"), 480)...)
}

// BenchmarkAdd adds entries with 16,000 in flight, and waits for their indexes or
// for their proofs.
func BenchmarkAdd(b *testing.B) {
	for _, proofs := range []bool{false, true} {
		b.Run(map[bool]string{false: "index", true: "proof"}[proofs], func(b *testing.B) {
			f := newFixture(b)
			l := f.open()
			slots := make(chan struct{}, 16_000)
			var group sync.WaitGroup
			b.ResetTimer()
			for i := range b.N {
				slots <- struct{}{}
				wait := l.Add(b.Context(), benchEntry(i))
				group.Go(func() {
					defer func() { <-slots }()
					finish(b, l, wait, proofs)
				})
			}
			group.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
			b.StopTimer()
			closeLog(b, l)
		})
	}
}

func finish(b *testing.B, l *Log, wait notary.Future, proofs bool) {
	b.Helper()
	index, err := wait(b.Context())
	if err == nil && proofs {
		_, err = l.Prove(b.Context(), index)
	} else if err == nil {
		_, err = l.covering(b.Context(), index)
	}
	if err != nil {
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
		finish(b, l, l.Add(b.Context(), benchEntry(i)), true)
	}
	closeLog(b, l)
}
