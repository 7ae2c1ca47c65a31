package tesseralog

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial/benchtest"
)

// BenchmarkRate adds entries at a fixed rate, as a committer does: in batches, of
// which one goroutine learns the indexes and another proves them. It reports the
// CPU time an entry and how long it takes from Add to the proof.
func BenchmarkRate(b *testing.B) {
	for _, perSecond := range []int{1000, 5000, 8000, 16000} {
		b.Run(fmt.Sprint(perSecond), func(b *testing.B) {
			f := newFixture(b)
			l := f.open()
			entries := make([][]byte, b.N)
			for i := range entries {
				entries[i] = benchEntry(i)
			}
			b.ResetTimer()
			began := benchtest.CPU()
			latencies := atRate(b.Context(), b, l, entries, perSecond)
			b.ReportMetric(float64((benchtest.CPU()-began).Microseconds())/float64(b.N), "us-CPU/entry")
			slices.Sort(latencies)
			b.ReportMetric(float64(latencies[len(latencies)/2].Milliseconds()), "ms-p50")
			b.ReportMetric(float64(latencies[len(latencies)*99/100].Milliseconds()), "ms-p99")
			b.StopTimer()
			closeLog(b, l)
		})
	}
}

type added struct {
	futures []notary.Future
	at      time.Time
}

func atRate(ctx context.Context, b *testing.B, l *Log, entries [][]byte, perSecond int) (latencies []time.Duration) {
	b.Helper()
	const tick = 5 * time.Millisecond
	batches := make(chan added, 1000)
	go func() {
		defer close(batches)
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		began, sent := time.Now(), 0
		for sent < len(entries) {
			<-ticker.C
			due := min(int(time.Since(began).Seconds()*float64(perSecond)), len(entries))
			batch := added{at: time.Now()}
			for ; sent < due; sent++ {
				batch.futures = append(batch.futures, l.Add(ctx, entries[sent]))
			}
			batches <- batch
		}
	}()
	type placed struct {
		indexes []uint64
		at      time.Time
	}
	known := make(chan placed, 1000)
	go func() {
		defer close(known)
		for batch := range batches {
			indexes := make([]uint64, len(batch.futures))
			for i, wait := range batch.futures {
				var err error
				if indexes[i], err = wait(ctx); err != nil {
					b.Error(err)
				}
			}
			known <- placed{indexes, batch.at}
		}
	}()
	for batch := range known {
		if _, err := l.ProveAll(ctx, batch.indexes); err != nil {
			b.Error(err)
		}
		latencies = append(latencies, time.Since(batch.at))
	}
	return latencies
}
