package receipt

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/benchtest"
)

// offlineWorld is what an inspector holds: many receipts of one key under one
// evidence file.
type offlineWorld struct {
	trust    *Trust
	receipts [][]byte
	evidence []byte
	files    []File
	signed   []logged
}

func newOfflineWorld(tb testing.TB, n int) *offlineWorld {
	tb.Helper()
	s := newStory(tb)
	w := new(offlineWorld)
	var indexes []uint64
	for i := range n {
		f := testFile{fmt.Sprintf("dm%d.json", i), fmt.Sprintf("content %d", i)}
		indexes = append(indexes, s.add(s.coordinator, about(s.statement(s.coordinator, trial.KindDataset, siteID,
			&trial.DataBody{Origin: trial.OriginSite, Purpose: trial.PurposeRoutine}), f)))
		w.files = append(w.files, f.file())
	}
	for _, i := range indexes {
		w.receipts = append(w.receipts, s.receipt(i))
		w.signed = append(w.signed, s.logged[i])
	}
	w.trust, w.evidence = s.trust(), s.evidence(indexes[0])
	return w
}

// verify judges one receipt from its bytes: everything that came from outside is
// parsed, and the statement's signature verified, each time.
func (w *offlineWorld) verify(tb testing.TB, v *Verifier, i int) {
	tb.Helper()
	i %= len(w.receipts)
	verdict, err := v.VerifyText(w.receipts[i], w.evidence, w.files[i:i+1])
	if err != nil || !verdict.Verified || verdict.Check(CheckValidityPeriod).Outcome != Passed {
		tb.Errorf("not verified: %v %v", err, verdict)
	}
}

// bare verifies the signature alone, whose hash is known.
func (w *offlineWorld) bare(tb testing.TB, digests [][32]byte, i int) {
	tb.Helper()
	i %= len(w.receipts)
	if l := &w.signed[i]; !ecdsa.VerifyASN1(l.key.Key, digests[i][:], l.env.Sig) {
		tb.Error("the signature does not verify")
	}
}

// BenchmarkOffline compares offline verification, statement signature included,
// with bare P-256 verification in the same run: the two take turns, and the
// processor's time counts, because other programs share the machine. To reach:
// x-bare, on one core and on all, at least 0.7.
func BenchmarkOffline(b *testing.B) {
	w := newOfflineWorld(b, 64)
	digests := make([][32]byte, len(w.signed))
	for i, l := range w.signed {
		digests[i] = sha256.Sum256(l.env.PAE())
	}
	for _, cores := range []int{1, runtime.NumCPU()} {
		b.Run(fmt.Sprintf("cores=%d", cores), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
			v := NewVerifier(w.trust)
			w.verify(b, v, 0)
			const turn = 100
			var ours, bare time.Duration
			done := 0
			b.ReportAllocs()
			for b.Loop() {
				bare += onCores(b, cores, turn, func(i int) { w.bare(b, digests, i) })
				ours += onCores(b, cores, turn, func(i int) { w.verify(b, v, i) })
				done += cores * turn
			}
			b.ReportMetric(float64(bare)/float64(ours), "x-bare")
			b.ReportMetric(float64(ours.Nanoseconds())/float64(done), "cpu-ns/receipt")
			b.ReportMetric(float64(bare.Nanoseconds())/float64(done), "cpu-ns/bare")
		})
	}
}

// onCores runs f n times on each of some cores and returns the processor time.
func onCores(tb testing.TB, cores, n int, f func(i int)) time.Duration {
	tb.Helper()
	began := benchtest.CPU()
	var all sync.WaitGroup
	for core := range cores {
		all.Go(func() {
			for i := range n {
				f(core + i)
			}
		})
	}
	all.Wait()
	return benchtest.CPU() - began
}

func BenchmarkVerify(b *testing.B) {
	s := newStory(b)
	r, ev, trust := mustParse(b, s.receipt(s.dataset)), mustEvidence(b, s.evidence(s.dataset)), s.trust()
	files := []File{s.data.file()}
	l := s.logged[s.dataset]
	b.Run("bare-P256", func(b *testing.B) {
		digest := sha256.Sum256(l.env.PAE())
		for b.Loop() {
			if !ecdsa.VerifyASN1(l.key.Key, digest[:], l.env.Sig) {
				b.Fatal("wrong")
			}
		}
	})
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !Verify(r, ev, trust, files).Verified {
				b.Fatal("not verified")
			}
		}
	})
	b.Run("many", func(b *testing.B) {
		b.ReportAllocs()
		v := NewVerifier(trust)
		for b.Loop() {
			if !v.Verify(r, ev, files).Verified {
				b.Fatal("not verified")
			}
		}
	})
}

// datasetOf is a dataset of so many files.
func (s *story) datasetOf(n int) *trial.Statement {
	st := s.statement(s.coordinator, trial.KindDataset, siteID, &trial.DataBody{Origin: trial.OriginSite, Purpose: trial.PurposeRoutine})
	for i := range n {
		st = about(st, testFile{fmt.Sprintf("vital-signs/visit%04d.json", i), fmt.Sprint(i)})
	}
	return st
}

func BenchmarkReceipt(b *testing.B) {
	s := newStory(b)
	l := s.logged[s.dataset]
	inc := s.inclusion(s.dataset, uint64(len(s.logged)))
	entry, proof := Entry(l.env, l.key), proofOf(inc)
	text := s.receipt(s.dataset)
	evidence := s.evidence(s.dataset)
	v, err := NewLogVerifier(s.log)
	if err != nil {
		b.Fatal(err)
	}
	many := s.add(s.coordinator, s.datasetOf(1000))
	large, place := s.logged[many], s.inclusion(many, uint64(len(s.logged)))
	large.env = trial.NewEnvelope(large.env.Payload, "", large.env.Sig) // as it comes over gRPC
	for name, f := range map[string]func() error{
		"1000/Build": func() error {
			text, err := Build(large.env, large.key, place, Entry(large.env, large.key), s.log)
			if err != nil {
				return err
			}
			return v.SelfCheck(text, large.env, large.key)
		},
		"1000/Inclusion": func() error { return v.CheckInclusion(large.env, large.key, place) },
		"Entry":          func() error { Entry(l.env, l.key); return nil },
		"Build":          func() error { _, err := Build(l.env, l.key, inc, entry, s.log); return err },
		"Parse":          func() error { _, err := Parse(text); return err },
		"SelfCheck":      func() error { return v.SelfCheck(text, l.env, l.key) },
		"Assemble":       func() error { _, err := v.Assemble(l.env, l.key, proof); return err },
		"Inclusion":      func() error { return v.CheckInclusion(l.env, l.key, inc) },
		"ParseEvidence":  func() error { _, err := ParseEvidence(evidence); return err },
	} {
		b.Run(name, func(b *testing.B) {
			benchtest.PerOp(b, func() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}
