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
	if want := y.now.Add(7*days + time.Millisecond); !ok || !due.Equal(want) {
		t.Fatalf("got deadline %v %v, want %v", due, ok, want)
	}
	none(t, y.pass(7*days), EventOverdue, sap)
	e := one(t, y.pass(time.Millisecond), EventOverdue, sap)
	if !e.facts.PendingTooLong || !e.Act.Overdue {
		t.Errorf("got %+v of %+v, want it overdue", e.facts, e.Act)
	}
	none(t, y.pass(30*days), EventOverdue, sap)
	if e := one(t, y.endorse("cmo", sap), EventEffect, sap); !e.Act.Overdue {
		t.Error("the act does not remember that it was overdue")
	}
}

func TestSecondEntryHasNoEffect(t *testing.T) {
	y := tell(t)
	plan := y.add("stat", "", KindSAP, nil)
	y.endorse("cmo", plan)
	for _, st := range []*Statement{plan, y.charter, y.cast["qa"]} {
		e := one(t, y.feed(st), EventNoEffect, st)
		if e.Refusal.Reason != ReasonAlreadyLogged || e.Act.Status != StatusNoEffect {
			t.Errorf("got %v, %s", e.Refusal, e.Act.Status)
		}
	}
	if got := y.state.Heads(); len(got) != 1 || got[0].Statement != plan.ID {
		t.Errorf("got heads %+v", got)
	}
}

func TestWithoutAuthorityNothingHappens(t *testing.T) {
	y := tell(t)
	stranger := y.enrolment("stranger", func(b *EnrolmentBody) { b.Kinds = signedKinds() })
	y.cast["stranger"] = stranger // who is never enrolled
	plan := y.write("stranger", "", KindSAP, nil)
	e := one(t, y.feed(plan), EventNoEffect, plan)
	if e.Refusal.Reason != ReasonUnknownKey {
		t.Errorf("got %v, want an unknown key", e.Refusal)
	}
	none(t, y.endorse("cmo", plan), EventEffect, plan)
	none(t, y.endorse("stat", plan), EventEffect, plan)

	good := y.add("stat", "", KindSAP, nil)
	byNobody := y.write("stranger", "", KindEndorsement, &EndorsementBody{Statement: good.ID, Decision: DecisionEndorsed})
	none(t, y.feed(byNobody), EventEffect, good)
	// A statement that was logged too early stays without effect.
	y.feed(stranger)
	none(t, y.feed(plan), EventLogged, plan)
	other := y.write("dm", "", KindSAP, nil)
	other.Predicate.Charter = ID{3}
	marshal(t, other)
	if e := one(t, y.feed(other), EventNoEffect, other); e.Refusal.Reason != ReasonOtherTrial {
		t.Errorf("another trial's: got %v", e.Refusal)
	}
}

func TestEndorsementBeforeItsActNeverCounts(t *testing.T) {
	y := tell(t)
	plan := y.write("stat", "", KindSAP, nil)
	y.endorse("cmo", plan) // before the act: it never counts
	y.feed(plan)
	none(t, y.endorse("edc", plan), EventEffect, plan) // no person
	if got := y.state.Pending(); len(got) != 1 || len(got[0].Endorsed) != 0 {
		t.Errorf("got %+v, want one act without endorsement", got)
	}
	one(t, y.endorse("cmo", plan), EventEffect, plan)
}

func TestCompromisedKeyVoidsItsPendingActs(t *testing.T) {
	y := tell(t)
	his := y.add("dm", "", KindDatabaseLock, lockOf("1", DataScope{}, &Statement{ID: ID{1}}))
	hers := y.add("stat", "", KindSAP, nil)
	e := one(t, y.feed(y.revocation("dm", nil)), EventVoided, his)
	if e.Cause != VoidKey || e.facts.PendingTooLong {
		t.Errorf("got cause %s, %+v", e.Cause, e.facts)
	}
	none(t, y.endorse("stat", his), EventEffect, his)
	one(t, y.endorse("cmo", hers), EventEffect, hers)
}

func TestLostKeyLeavesItsPendingActs(t *testing.T) {
	y := tell(t)
	lock := y.add("dm", "", KindDatabaseLock, lockOf("1", DataScope{}, &Statement{ID: ID{1}}))
	st := sponsorStatement(t, "sponsor", y.charter.ID, KindKeyRevocation, &RevocationBody{Key: publicKey(t, "dm").ID, Cause: CauseLost})
	none(t, y.feed(marshal(t, st)), EventVoided, lock)
	one(t, y.endorse("stat", lock), EventEffect, lock)
}

func TestSuspectKeyLosesItsEndorsements(t *testing.T) {
	y := tell(t, func(b *CharterBody) {
		b.Endorsements = map[Kind][]Role{KindSAP: {RoleBiostatistician, RoleSponsorMedical, RoleQA}}
	})
	before := y.add("stat", "", KindSAP, nil, document("A", "1"))
	y.endorse("qa", before)
	since := y.at
	after := y.add("stat", "", KindSAP, nil, document("B", "1"))
	y.endorse("qa", after)
	y.feed(y.revocation("qa", &since))
	one(t, y.endorse("cmo", before), EventEffect, before)
	none(t, y.endorse("cmo", after), EventEffect, after)
	if got := y.state.Pending(); len(got) != 1 || len(got[0].Endorsed) != 1 || len(got[0].Missing) != 1 || got[0].Missing[0] != RoleQA {
		t.Errorf("got %+v, want one act that lacks QA", got)
	}
	suspect := y.at
	late := y.add("stat", "", KindSAP, nil, document("C", "1"))
	one(t, y.feed(y.revocation("stat", &suspect)), EventVoided, late)
}

func TestRecoveryVoidsActsOfVoidKeys(t *testing.T) {
	y := tell(t)
	trusted := y.at - 1
	y.cast["dm2"] = y.enrolment("dm2", func(b *EnrolmentBody) { b.Kinds = signedKinds() })
	y.feed(y.cast["dm2"])
	lock := y.add("dm2", "", KindDatabaseLock, lockOf("1", DataScope{}, &Statement{ID: ID{1}}))
	if e := one(t, y.feed(y.recovery("sponsor2", trusted)), EventVoided, lock); e.Cause != VoidKey {
		t.Errorf("got cause %s", e.Cause)
	}
}

// The charter's table replaces the usual one kind by kind.
func TestCharterNamesTheRoles(t *testing.T) {
	y := tell(t, func(b *CharterBody) {
		b.Endorsements = map[Kind][]Role{KindSAP: {}, KindDataset: {RoleQA}, KindEndorsement: {RoleQA}, KindRegistration: {RoleQA}}
	})
	plan := y.write("stat", "", KindSAP, nil)
	one(t, y.feed(plan), EventEffect, plan)
	data := y.extract("701", "AE", 1)
	one(t, y.endorse("qa", data), EventEffect, data)
	lock := y.write("dm", "", KindDatabaseLock, lockOf("1", DataScope{}, data))
	none(t, y.feed(lock), EventEffect, lock)
	next := y.extract("701", "AE", 2)
	if e := one(t, y.feed(y.write("edc", "701", KindDataset, routine("AE"), replaces(next.ID))), EventVoided, next); e.Cause != VoidReplaced {
		t.Errorf("got %s", e.Cause)
	}
}
