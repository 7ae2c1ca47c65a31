package rules

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/benchtest"
)

// BenchmarkReplay replays a trial as large as a phase III trial's year, with rules
// and without, and one 25 times as large. Signatures were verified and statements
// parsed before. The time of a statement must not grow with the trial.
func BenchmarkReplay(b *testing.B) {
	for _, n := range []int{40_000, 1_000_000} {
		b.Run(fmt.Sprintf("statements=%d", n), func(b *testing.B) {
			l := newLoad(b)
			var fold, replay stopwatch
			for b.Loop() {
				fold.time(func() { l.fold(n) })
				found := 0
				replay.time(func() { found = len(l.replay(n).Findings()) })
				if found == 0 {
					b.Fatal("nothing was found")
				}
			}
			all := float64(b.N) * float64(n)
			b.ReportMetric(all/fold.clock.Seconds(), "folded/s")
			b.ReportMetric(all/fold.cpu.Seconds(), "folded/CPU-s")
			b.ReportMetric(all/replay.clock.Seconds(), "judged/s")
			b.ReportMetric(all/replay.cpu.Seconds(), "judged/CPU-s")
		})
	}
}

// stopwatch sums up times, by the clock and the processor's.
type stopwatch struct{ clock, cpu time.Duration }

func (s *stopwatch) time(f func()) {
	began, cpu := time.Now(), benchtest.CPU()
	f()
	s.clock += time.Since(began)
	s.cpu += benchtest.CPU() - cpu
}

// load makes the log of a trial of two sites and 100 series of data, with what
// else a trial files, and a lock of all that is current after each 10,000
// statements. Statements are made of signed ones as they are folded, under ids of
// their own, and not kept: a million signed ones would measure the signing.
type load struct {
	*story
	data, derived, letter, consents, decision, start, lock, second *trial.Statement
	begin                                                          []trial.Logged
}

func newLoad(b *testing.B) *load {
	b.Helper()
	y := tell(b)
	_, icf, _ := y.running()
	l := &load{story: y, begin: slices.Clip(y.log)}
	l.data = y.write("edc", "701", trial.KindDataset, extract("AE"), replaces(icf))
	l.derived = y.write("stat", "", trial.KindDerivedDataset, extract("ADSL"), from(icf))
	l.letter = y.write("cra", "701", trial.KindTMFDocument, nil)
	l.consents = y.write("pi701", "701", trial.KindConsentManifest, &trial.ConsentManifestBody{ICF: icf.ID, Consents: 3, Cutoff: "2026-01-05"},
		subject("consents", trial.Commitment(sum(5)).Digests()))
	l.decision = y.write("cra", "701", trial.KindEthicsDecision,
		&trial.EthicsDecisionBody{Committee: "Ethics Committee", Decision: trial.EthicsFavourable, Date: "2026-01-05", Approves: []trial.ID{icf.ID}})
	l.start = y.write("cra", "701", trial.KindVersionEffective, &trial.VersionEffectiveBody{Statements: []trial.ID{icf.ID}, Date: "2026-01-05"})
	l.lock = y.write("dm", "", trial.KindDatabaseLock, &trial.LockBody{Label: "1", Type: trial.LockInterim, Members: []trial.ID{icf.ID}})
	l.second = y.write("stat", "", trial.KindEndorsement, &trial.EndorsementBody{Statement: icf.ID, Decision: trial.DecisionEndorsed})
	return l
}

// fold folds n statements, and those of the beginning.
func (l *load) fold(n int) *trial.State {
	l.Helper()
	s, err := trial.NewState(l.charter)
	if err != nil {
		l.Fatal(err)
	}
	l.feedAll(n, func(g trial.Logged) error { return s.Apply(g, nil) })
	return s
}

// replay does the same and judges.
func (l *load) replay(n int) *Engine {
	l.Helper()
	e, err := NewEngine(l.charter, l.program)
	if err != nil {
		l.Fatal(err)
	}
	l.feedAll(n, func(g trial.Logged) error {
		_, err := e.Apply(g)
		return err
	})
	return e
}

// logger numbers what is folded.
type logger struct {
	load  *load
	apply func(trial.Logged) error
	next  uint64
	now   time.Time

	declared *trial.Instant
}

// log folds a statement of another's form, and returns its id.
func (g *logger) log(form *trial.Statement, body any, change ...func(*trial.Predicate)) trial.ID {
	st := *form
	g.next++
	binary.BigEndian.PutUint64(st.ID[:], g.next)
	binary.BigEndian.PutUint64(st.ID[8:], g.next*0x9e3779b97f4a7c15) // as evenly as digests
	if body != nil {
		st.Predicate.Body = body
	}
	for _, c := range change {
		c(&st.Predicate)
	}
	if st.Predicate.Declared != nil {
		st.Predicate.Declared = g.declared
	}
	if err := g.apply(trial.Logged{Statement: &st, Index: g.next, Time: g.now}); err != nil {
		g.load.Fatal(err)
	}
	return st.ID
}

func (l *load) feedAll(n int, apply func(trial.Logged) error) {
	l.Helper()
	for _, s := range l.begin {
		if err := apply(s); err != nil {
			l.Fatal(err)
		}
	}
	g := &logger{load: l, apply: apply, next: l.next, now: l.now, declared: trial.NewInstant(l.now, "Etc/UTC")}
	var newest [100]trial.ID
	var bodies [len(newest)]*trial.DataBody
	for i := range bodies {
		bodies[i] = extract(fmt.Sprintf("D%d", i))
	}
	last := trial.ID{1}
	for i := range n {
		switch k := i % len(newest); {
		case i%10_000 == 9_999:
			last = g.log(l.lock, &trial.LockBody{Label: fmt.Sprint(i), Type: trial.LockInterim, Members: newest[:95]})
			g.log(l.second, &trial.EndorsementBody{Statement: last, Decision: trial.DecisionEndorsed})
		case k == 99:
			g.log(l.derived, nil, func(p *trial.Predicate) { p.Lineage = []trial.ID{last} })
		case k == 98:
			g.log(l.consents, nil)
		case k == 97:
			g.log(l.start, nil)
		case k == 96:
			g.log(l.decision, nil)
		case k >= 85:
			g.log(l.letter, nil)
		default:
			newest[k] = g.log(l.data, bodies[k], func(p *trial.Predicate) { p.Supersedes = newest[k] })
		}
		if i%1_000 == 0 {
			g.now = g.now.Add(time.Hour)
			g.declared = trial.NewInstant(g.now, "Etc/UTC")
		}
	}
}
