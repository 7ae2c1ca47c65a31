package trial

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestNewStateWantsACharter(t *testing.T) {
	y := tell(t)
	_, err := NewState(Logged{y.cast["dm"], 3, testTime})
	wantRefusal(t, err, ReasonKindNotAllowed, "predicate.kind")
}

func TestLogOrderIsChecked(t *testing.T) {
	y := tell(t)
	plan := y.add("stat", "", KindSAP, nil)
	st := y.write("edc", "701", KindDataset, routine("AE"))
	mark := &Statement{Predicate: Predicate{Kind: KindTimeMark, Body: &TimeMarkBody{Time: y.now.Add(-time.Second)}}}
	for name, l := range map[string]Logged{
		"an index again":      {st, y.at - 1, y.now},
		"an earlier time":     {st, y.at, y.now.Add(-time.Millisecond)},
		"an earlier mark":     {mark, y.at, y.now},
		"a mark that is left": {st, y.at, y.now.Add(8 * days)},
	} {
		before := y.state.Position()
		err := y.state.Apply(l, func(*Event) { t.Errorf("%s: something happened", name) })
		if err == nil || y.state.Position() != before || errors.Is(err, ErrMarkSkipped) != (name == "a mark that is left") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	y.pass(8 * days)
	y.feed(st)
	if _, more := y.state.NextDeadline(); more {
		t.Error("a deadline after the only one")
	}
	y.endorse("cmo", plan)
}

// Before the first time mark nothing has a time, and nothing is overdue: the
// deadline runs from the mark.
func TestBeforeTheFirstMark(t *testing.T) {
	y := tell(t)
	s, err := NewState(Logged{Statement: y.charter, Index: 1})
	if err != nil {
		t.Fatal(err)
	}
	y.state, y.at, y.now = s, 2, time.Time{}
	for _, key := range []string{"stat", "cmo"} {
		y.feed(y.cast[key])
	}
	plan := y.write("stat", "", KindSAP, nil, declared(testTime))
	if e := one(t, y.feed(plan), EventLogged, plan); e.facts.BehindDays != 0 || e.facts.AheadSeconds != 0 {
		t.Errorf("got %+v", e.facts)
	}
	if due, ok := s.NextDeadline(); !ok || !due.IsZero() {
		t.Errorf("got %v %v, want the next mark", due, ok)
	}
	err = s.Apply(Logged{y.write("cmo", "", KindSAP, nil, declared(testTime)), y.at, testTime}, nil)
	if !errors.Is(err, ErrMarkSkipped) {
		t.Errorf("got %v, want %v", err, ErrMarkSkipped)
	}
	y.now = testTime
	none(t, y.pass(0), EventOverdue, plan)
	one(t, y.pass(8*days), EventOverdue, plan)
}

// A charter's parameters may be anything that a number can be.
func TestAbsurdParameters(t *testing.T) {
	for _, n := range []int64{0, -1 << 52, 1<<53 - 1} {
		y := tell(t, func(b *CharterBody) {
			b.Parameters = map[string]int64{ParameterGraceDays: max(n, 0)}
		})
		for name := range DefaultParameters() {
			y.state.parameters[name] = n
		}
		plan := y.add("stat", "", KindSAP, nil)
		y.add("pi701", "701", KindFirstParticipant, nil)
		y.extract("701", "AE", 1)
		y.extract("701", "AE", 2)
		events := y.pass(10 * days)
		if n > 0 {
			none(t, events, EventOverdue, plan)
		} else {
			one(t, events, EventOverdue, plan)
		}
		if got := len(y.state.Overdue(y.now)); (n > 0) == (got > 0) {
			t.Errorf("parameters %d: got %d series overdue", n, got)
		}
	}
}

// Statements that name what is not there, themselves or each other change nothing
// and never make the fold run on.
func TestStatementsThatNameWhatIsNot(t *testing.T) {
	y, _, _ := begun(t)
	unknown, charter := ID{200}, y.charter.ID
	bare := func(by, site string, kind Kind, body any, id ID, options ...option) *Statement {
		st := y.write(by, site, kind, body, options...)
		return &Statement{ID: id, Predicate: st.Predicate, Subjects: st.Subjects}
	}
	itself := func(st *Statement) *Statement {
		st.Predicate.Supersedes, st.Predicate.Lineage = st.ID, []ID{st.ID, st.ID, unknown, charter}
		return st
	}
	one, two := ID{1}, ID{2}
	a := bare("edc", "701", KindDataset, routine("AE"), one)
	a.Predicate.Lineage = []ID{two, one}
	b := bare("stat", "", KindDerivedDataset, routine("AE"), two)
	b.Predicate.Lineage = []ID{one, two}
	list := []*Statement{
		a, b,
		itself(bare("cmo", "", KindProtocolAmendment, &AmendmentBody{Type: AmendmentUrgent}, ID{3}, document("P1", "2"))),
		itself(bare("cmo", "", KindICF, nil, ID{4}, document("ICF", "2"))),
		itself(bare("dm", "", KindDatabaseLock, lockOf("1", DataScope{Sites: []string{"999"}}, a, &Statement{ID: ID{5}}), ID{5})),
		itself(bare("dm", "", KindDatabaseUnlock, &UnlockBody{Lock: ID{6}}, ID{6}, because("x"))),
		bare("dm", "", KindDatabaseUnlock, &UnlockBody{Lock: unknown}, ID{7}, because("x")),
		bare("cra", "701", KindVersionEffective, &VersionEffectiveBody{Statements: []ID{unknown, charter, {8}, one}}, ID{8}),
		bare("ustat", "", KindRandomisationReveal, &RevealBody{Seal: ID{9}, Salt: [32]byte{1}}, ID{9},
			subject("list", Digests{{DigestSHA256, bytesOf(1)}, {DigestCommitment, bytesOf(2)}})),
		bare("pi701", "701", KindFirstParticipant, &FirstParticipantBody{ICF: ID{10}}, ID{10}),
		bare("cmo", "", KindEndorsement, &EndorsementBody{Statement: ID{11}, Decision: DecisionEndorsed}, ID{11}),
		bare("cmo", "", KindEndorsement, &EndorsementBody{Statement: unknown, Decision: DecisionEndorsed}, ID{12}),
		bare("pi701", "701", KindEthicsDecision, ethics("2026-03-01", EthicsFavourable, unknown, charter, ID{13}), ID{13}),
		bare("dm", "", KindBaseline, &BaselineBody{AsOf: "2026-01-01", Documents: []BaselineDocument{{Kind: KindProtocol, Version: "1"}}}, ID{14}),
	}
	for _, st := range list {
		for _, e := range y.feed(st) {
			if e.Type == EventNoEffect {
				t.Errorf("%s: %v", st.Predicate.Kind, e.Refusal)
			}
		}
	}
	for _, id := range []ID{{3}, {5}, {6}, {7}} {
		for _, by := range []string{"stat", "qa"} {
			y.endorse(by, &Statement{ID: id})
		}
	}
	if got := y.state.Heads(); len(got) != 4 {
		t.Errorf("got heads %+v", got)
	}
}

// A circle of derived data would need a statement that is logged before itself.
// What looks like one ends where the log does.
func TestLongLineage(t *testing.T) {
	y, _, _ := begun(t)
	last, _ := y.lock(lockOf("0", DataScope{}, y.extract("701", "AE", 1)))
	var locks []ID
	for i := range maxReached + 10 {
		st, _ := y.lock(lockOf(itoa(i), DataScope{}, y.extract("701", "AE", 1)))
		locks = append(locks, st.ID)
	}
	d := y.add("stat", "", KindDerivedDataset, routine("X"), from(append([]ID{last.ID}, locks...)...))
	for range 200 {
		d = y.add("stat", "", KindDerivedDataset, routine("X"), from(d.ID, locks[0]))
	}
	f := y.logged("stat", "", KindDerivedDataset, routine("X"), from(d.ID))
	if !f.LineageToLock || !f.LineageSupersededLock {
		t.Errorf("got %+v", f)
	}
	if x := y.state.records[d.ID].what.(*extract); len(x.locks) > maxReached {
		t.Errorf("got %d locks, want at most %d", len(x.locks), maxReached)
	}
}

// telling is all that can be seen of a fold: every event with its facts, and the
// views at the end.
type telling struct {
	events []string
	views  []any
}

func retell(tb rapid.TB, s *State, log []Logged, into *telling) {
	tb.Helper()
	for _, e := range replay(tb, s, log...) {
		into.events = append(into.events, fmt.Sprintf("%s %s %v %s %s %+v", e, e.Act.Status, ReasonOf(refusalOrNil(e.Refusal)), e.Deadline, e.Cause, *e.facts))
	}
	at := testTime.Add(400 * days)
	due, ok := s.NextDeadline()
	into.views = []any{s.Overview(), s.Sites(), s.Heads(), s.Pending(), s.Locks(), s.Unlocks(), s.Series(at), s.Overdue(at), s.Seals(),
		s.Unblindings(), s.Enrolments(testTime), s.CustodyGaps(), due, ok}
}

func refusalOrNil(r *Refusal) error {
	if r == nil {
		return nil
	}
	return r
}

// The story that the replicas are told holds everything that can happen.
func TestLongStoryHasEveryEvent(t *testing.T) {
	charter, log := longStory(t)
	s, err := NewState(charter)
	if err != nil {
		t.Fatal(err)
	}
	got := map[EventType]int{}
	for _, e := range replay(t, s, log...) {
		got[e.Type]++
	}
	for _, what := range []EventType{
		EventLogged, EventNoEffect, EventEffect, EventVoided, EventOverdue, EventDeadline, EventLastVisit, EventCloseout,
	} {
		if got[what] == 0 {
			t.Errorf("nothing happens that is %q", what)
		}
	}
	t.Logf("%d statements and marks: %v", len(log), got)
}

// Two who fold the same log come to the same, in whatever batches, with or without
// the time marks that nothing is due at.
func TestReplicasAgree(t *testing.T) {
	charter, log := longStory(t)
	rapid.Check(t, func(t *rapid.T) {
		log := log[:rapid.IntRange(0, len(log)).Draw(t, "length")]
		var all, batched telling
		one, err := NewState(charter)
		if err != nil {
			t.Fatal(err)
		}
		retell(t, one, log, &all)
		two, err := NewState(charter)
		if err != nil {
			t.Fatal(err)
		}
		for rest := withoutIdleMarks(t, charter, log, rapid.Bool().Draw(t, "all marks")); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "batch")
			retell(t, two, rest[:n], &batched)
			rest = rest[n:]
		}
		if !slices.Equal(all.events, batched.events) {
			t.Fatalf("got events\n%v\nwant\n%v", batched.events, all.events)
		}
		if len(log) > 0 && !reflect.DeepEqual(all.views, batched.views) {
			t.Fatalf("got views\n%+v\nwant\n%+v", batched.views, all.views)
		}
	})
}

// withoutIdleMarks leaves out the time marks that no deadline asks for.
func withoutIdleMarks(tb rapid.TB, charter Logged, log []Logged, keep bool) []Logged {
	tb.Helper()
	s, err := NewState(charter)
	if err != nil {
		tb.Fatal(err)
	}
	var out []Logged
	for _, l := range log {
		due, ok := s.NextDeadline()
		if !keep && l.Statement.Predicate.Kind == KindTimeMark && (!ok || l.Time.Before(due)) {
			continue
		}
		if err := s.Apply(l, nil); err != nil {
			tb.Fatal(err)
		}
		out = append(out, l)
	}
	return out
}
