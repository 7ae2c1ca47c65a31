package trial

import (
	"testing"
	"time"
)

func TestActTakesEffectWithTheLastRole(t *testing.T) {
	y := tell(t)
	protocol := y.write("cmo", "", KindProtocol, nil, document("P1", "1.0"))
	events := y.feed(protocol)
	if e := one(t, events, EventLogged, protocol); e.Act.Status != StatusPending || len(e.facts.MissingRoles) != 1 || e.facts.MissingRoles[0] != "biostatistician" {
		t.Errorf("got %s missing %v, want pending and the biostatistician", e.Act.Status, e.facts.MissingRoles)
	}
	none(t, events, EventEffect, protocol)
	none(t, y.endorse("qa", protocol), EventEffect, protocol)
	index := y.at
	e := one(t, y.endorse("stat", protocol), EventEffect, protocol)
	if e.Index != index || e.Act.EffectIndex != index || e.Act.Status != StatusEffective {
		t.Errorf("got effect at %d (%d), %s, want it at %d", e.Index, e.Act.EffectIndex, e.Act.Status, index)
	}
	none(t, y.endorse("both", protocol), EventEffect, protocol)
	none(t, y.pass(8*days), EventOverdue, protocol)
}

func TestOnePersonSignsForOneRole(t *testing.T) {
	y := tell(t)
	lock := y.add("both", "", KindDatabaseLock, &LockBody{Label: "1", Type: LockSoft, Members: []ID{{1}}})
	none(t, y.endorse("both", lock), EventEffect, lock)
	// "both" moves to the other role: what matters is that two persons cover two.
	one(t, y.endorse("dm", lock), EventEffect, lock)
}

func TestReplacedActIsVoid(t *testing.T) {
	y := tell(t)
	body := &LockBody{Label: "1", Type: LockSoft, Members: []ID{{1}}}
	first := y.add("dm", "", KindDatabaseLock, body)
	other := y.write("dm", "", KindDatabaseLock, &LockBody{Label: "2", Type: LockSoft, Members: []ID{{1}}})
	none(t, y.feed(other), EventVoided, first)
	index := y.at
	second := y.write("dm", "", KindDatabaseLock, body)
	e := one(t, y.feed(second), EventVoided, first)
	if e.Cause != VoidReplaced || e.Index != index || !e.facts.PendingTooLong || len(e.facts.MissingRoles) != 1 {
		t.Errorf("got %v for %s, %+v", e, e.Cause, e.facts)
	}
	none(t, y.endorse("stat", first), EventEffect, first)
	one(t, y.endorse("stat", second), EventEffect, second)
}

func TestOverdueActMayStillTakeEffect(t *testing.T) {
	y := tell(t)
	sap := y.add("stat", "", KindSAP, nil)
	due, ok := y.state.NextDeadline()
	if want := y.now.Add(7 * days); !ok || !due.Equal(want) {
		t.Fatalf("got deadline %v %v, want %v", due, ok, want)
	}
	none(t, y.pass(7*days-time.Minute), EventOverdue, sap)
	e := one(t, y.pass(time.Minute), EventOverdue, sap)
	if !e.facts.PendingTooLong || !e.Act.Overdue {
		t.Errorf("got %+v of %+v, want it overdue", e.facts, e.Act)
	}
	none(t, y.pass(30*days), EventOverdue, sap)
	if e := one(t, y.endorse("cmo", sap), EventEffect, sap); !e.Act.Overdue {
		t.Error("the act does not remember that it was overdue")
	}
}
