package store

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// BenchmarkSubjects stores and places statements by the number of their subjects,
// 130 bytes of payload for each, and reports CPU time.
func BenchmarkSubjects(b *testing.B) {
	for _, subjects := range []int{1, 30, 60, 100, 150, 300, 1000} {
		b.Run(fmt.Sprint(subjects), func(b *testing.B) {
			s := newStore(b)
			batch := max(8, 256/subjects)
			var put, place time.Duration
			index := uint64(0)
			for b.Loop() {
				records := benchRecords(int(index), batch)
				placed := make([]notary.Placed, batch)
				for i, r := range records {
					r.Subjects = nil
					for j := range subjects {
						var digest [32]byte
						_, _ = rand.Read(digest[:]) // never fails
						r.Subjects = append(r.Subjects, trial.Subject{Name: fmt.Sprintf("vs%04d.json", j), Digests: trial.SHA256(digest)})
					}
					more := make([]byte, 130*(subjects-1))
					_, _ = rand.Read(more)
					r.Envelope.Payload = append(r.Envelope.Payload, more...)
					placed[i] = notary.Placed{ID: r.ID, Index: index}
					index++
				}
				put, place = timed(b, s, records, placed, put, place)
			}
			n := float64(b.N * batch)
			b.ReportMetric(float64(put.Microseconds())/n, "put-CPU-µs/statement")
			b.ReportMetric(float64(place.Microseconds())/n, "place-CPU-µs/statement")
		})
	}
}
