package notary_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial/benchtest"
)

// BenchmarkReadTrial reads the state of a trial as large as a phase III trial's year
// after one more statement, which must fold that one alone, and folds the whole trial
// anew.
func BenchmarkReadTrial(b *testing.B) {
	const statements = 40_000
	w := newWorld(b, func(c *notary.Config) { c.ViewMemory = 1 << 40 })
	s, h := w.judged()
	var all sync.WaitGroup
	next := make(chan int)
	for range 256 {
		all.Go(func() {
			for i := range next {
				site := []string{"701", "704"}[i%2]
				if _, err := w.Submit(b.Context(), s.dataset(h, site, fmt.Sprintf("d-%d", i)), nil); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range statements {
		next <- i
	}
	close(next)
	all.Wait()
	q := notary.ViewQuery{ViewOf: whole(s.id), State: true}
	read := func() {
		if err := w.ReadTrial(b.Context(), q, func(*notary.TrialView) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("anew", func(b *testing.B) {
		began := benchtest.CPU()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		sizes := []uint64{w.LogSize()}
		for i := 0; b.Loop(); i++ {
			// A position of its own is a fold of its own.
			older := notary.ViewQuery{ViewOf: q.ViewOf, State: true, Size: sizes[0] - 1 - uint64(i)}
			if err := w.ReadTrial(b.Context(), older, func(*notary.TrialView) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(benchtest.CPU()-began)/float64(b.N)/statements, "cpu-ns/statement")
		runtime.GC()
		runtime.ReadMemStats(&after)
		held := w.Gauges()
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(b.N)/statements, "heap-B/statement")
		b.ReportMetric(float64(held.ViewBytes)/float64(held.Views)/statements, "counted-B/statement")
	})
	read()
	b.Run("one-more", func(b *testing.B) {
		before := w.Gauges()
		var took time.Duration
		for i := range b.N {
			w.submit(s.dataset(h, "701", fmt.Sprintf("more-%d-%d", b.N, i)))
			began := time.Now()
			read()
			took += time.Since(began)
		}
		b.ReportMetric(float64(took.Nanoseconds())/float64(b.N), "ns/read")
		after := w.Gauges()
		if after.Refolds != before.Refolds || after.Folded-before.Folded != uint64(b.N) {
			b.Fatalf("got %d folds anew and %d statements folded, want none and %d", after.Refolds-before.Refolds, after.Folded-before.Folded, b.N)
		}
	})
}
