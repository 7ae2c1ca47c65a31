package trial

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/trial/benchtest"
)

// BenchmarkFold folds a trial as large as a phase III trial's year, and one 25
// times as large. The time of a statement must not grow with the trial.
func BenchmarkFold(b *testing.B) {
	for _, n := range []int{10_000, 40_000, 1_000_000} {
		b.Run(fmt.Sprintf("statements=%d", n), func(b *testing.B) {
			load := newLoad(b)
			began := benchtest.CPU()
			benchtest.PerOp(b, func() { load.fold(n, nil) })
			b.ReportMetric(float64(benchtest.CPU()-began)/float64(b.N)/float64(n), "cpu-ns/statement")
		})
	}
}

// load makes the log of a trial of 100 sources: every 100th statement is derived
// data, and a lock with all current extracts comes after each 10,000. Statements
// are made as they are folded, and not kept.
type load struct {
	*story
	charter                     Logged
	data, derived, lock, second Statement
}

func newLoad(tb testing.TB) *load {
	tb.Helper()
	y := tell(tb)
	l := &load{story: y, charter: Logged{y.charter, 10, testTime}}
	l.data = *y.write("edc", "701", KindDataset, routine("AE"), replaces(ID{1}))
	l.derived = *y.write("stat", "", KindDerivedDataset, routine("ADSL"), from(ID{1}))
	l.lock = *y.write("dm", "", KindDatabaseLock, lockOf("1", DataScope{}, &l.data))
	l.second = *y.write("stat", "", KindEndorsement, &EndorsementBody{Statement: ID{1}, Decision: DecisionEndorsed})
	return l
}

// fold folds n statements.
func (l *load) fold(n int, judge func(*Event)) *State {
	l.t.Helper()
	s, err := NewState(l.charter)
	if err != nil {
		l.t.Fatal(err)
	}
	next := l.charter.Index
	at := testTime
	log := func(from *Statement, body any) ID {
		st := *from
		next++
		binary.BigEndian.PutUint64(st.ID[:], next)
		binary.BigEndian.PutUint64(st.ID[8:], next*0x9e3779b97f4a7c15) // as evenly as digests
		if body != nil {
			st.Predicate.Body = body
		}
		if err := s.Apply(Logged{&st, next, at}, judge); err != nil {
			l.t.Fatal(err)
		}
		return st.ID
	}
	for _, c := range cast {
		next++
		if err := s.Apply(Logged{l.cast[c.key], next, at}, judge); err != nil {
			l.t.Fatal(err)
		}
	}
	var newest [100]ID
	var bodies [len(newest)]*DataBody
	for i := range bodies {
		bodies[i] = routine(fmt.Sprintf("D%d", i))
	}
	var last ID
	for i := range n {
		k := i % len(newest)
		switch {
		case i%10_000 == 9_999:
			last = log(&l.lock, &LockBody{Label: itoa(i), Type: LockSoft, Members: newest[:]})
			log(&l.second, &EndorsementBody{Statement: last, Decision: DecisionEndorsed})
		case k == 99:
			st := l.derived
			st.Predicate.Lineage = []ID{last}
			newest[k] = log(&st, bodies[k])
		default:
			st := l.data
			st.Predicate.Supersedes = newest[k]
			newest[k] = log(&st, bodies[k])
		}
		if i%1_000 == 0 {
			at = at.Add(time.Hour)
		}
	}
	return s
}

// A trial of 40,000 statements folds, and nothing of it is lost.
func TestLoad(t *testing.T) {
	s := newLoad(t).fold(40_000, nil)
	if got := s.Locks(); len(got) != 4 || !got[3].InEffect {
		t.Errorf("got %d locks", len(got))
	}
	var extracts uint64
	for _, r := range s.Series(testTime) {
		extracts += r.Extracts
	}
	if want := uint64(40_000 - 400); extracts != want {
		t.Errorf("got %d extracts, want %d", extracts, want)
	}
}
