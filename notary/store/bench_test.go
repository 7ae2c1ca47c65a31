package store

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// benchRecords returns statements of 1.2 KB, as sites send them.
func benchRecords(from, n int) []*notary.Record {
	var records []*notary.Record
	for i := range n {
		records = append(records, newRecord(fmt.Sprint("bench ", from+i), func(r *notary.Record) {
			r.Envelope.Payload = append(bytes.Repeat([]byte("x"), 1150), fmt.Sprintf("%050d", from+i)...)
			r.Envelope.Sig, r.SignerDER = make([]byte, 71), make([]byte, 91)
			r.Envelope.Sig[0], r.Envelope.Sig[1], r.Envelope.Sig[2] = byte(from+i), byte((from+i)>>8), byte((from+i)>>16)
			r.Site = fmt.Sprint(700 + (from+i)%20)
			r.Charter = trial.ID{byte(1 + (from+i)%5)}
		}))
	}
	return records
}

// BenchmarkPut stores batches durably; ns/statement is what one costs.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := newStore(b)
			from := 0
			for b.Loop() {
				b.StopTimer()
				records := benchRecords(from, size)
				from += size
				b.StartTimer()
				if _, err := s.Put(b.Context(), records); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(from), "ns/statement")
		})
	}
}

// BenchmarkPlace places what was stored before.
func BenchmarkPlace(b *testing.B) {
	for _, size := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := newStore(b)
			from := 0
			for b.Loop() {
				b.StopTimer()
				records := benchRecords(from, size)
				if _, err := s.Put(b.Context(), records); err != nil {
					b.Fatal(err)
				}
				var placed []notary.Placed
				for i, r := range records {
					placed = append(placed, notary.Placed{ID: r.ID, Index: uint64(from + i)})
				}
				from += size
				b.StartTimer()
				if err := s.Place(b.Context(), placed); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(from), "ns/statement")
		})
	}
}

func BenchmarkRead(b *testing.B) {
	s := newStore(b)
	const n = 20_000
	var last *notary.Record
	for from := 0; from < n; from += 1000 {
		records := benchRecords(from, 1000)
		putPlaced(b, s, uint64(from), records...)
		last = records[999]
	}
	sites := &notary.Visible{Grants: []notary.VisibleGrant{{Charter: trial.ID{1}, Sites: []string{"700", "705", "710"}}}}
	for name, q := range map[string]notary.Query{
		"trial": {Charter: &trial.ID{1}}, "sites": {Visible: sites}, "sites and kind": {Visible: sites, Kind: trial.KindDataset},
		"digest":  {Digest: last.Subjects[0].Digests.Text()["sha256"], Visible: sites},
		"nothing": {Charter: &trial.ID{1}, Kind: "icf"}, "log time": {From: logTime(n - 10)},
	} {
		b.Run("List of 50 by "+strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			q.After, q.Limit = -1, 50
			for b.Loop() {
				if _, err := s.List(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("Get", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Get(b.Context(), last.ID); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("UserByToken", func(b *testing.B) {
		if err := s.AddUser(b.Context(), User{Name: "u", TokenHash: token("u"), Grants: []Grant{{Role: RoleOperator}}}); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := s.UserByToken(b.Context(), token("u")); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAdvanceMark(b *testing.B) {
	s, f := newStore(b), newFileMark(b, notary.Mark{})
	for name, m := range map[string]notary.MarkStore{"database": newStore(b), "both": NewMarks(s, f)} {
		b.Run(name, func(b *testing.B) {
			held, _, err := m.LoadMark(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				to := mark(held.Size + 1)
				if err := m.AdvanceMark(b.Context(), held, to); err != nil {
					b.Fatal(err)
				}
				held = to
			}
		})
	}
}
