package trial

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// begun tells the beginning that most stories have: protocol and analysis plan in
// effect.
func begun(t *testing.T, change ...func(*CharterBody)) (y *story, protocol, plan *Statement) {
	t.Helper()
	y = tell(t, change...)
	protocol = y.add("cmo", "", KindProtocol, nil, document("P1", "1.0"))
	y.endorse("stat", protocol)
	plan = y.add("stat", "", KindSAP, nil, document("SAP", "1.0"))
	y.endorse("cmo", plan)
	return y, protocol, plan
}

// logged returns the facts of a new act when it is logged, and at when it takes
// effect.
func (y *story) logged(by, site string, kind Kind, body any, options ...option) *Facts {
	y.t.Helper()
	st := y.write(by, site, kind, body, options...)
	return one(y.t, y.feed(st), EventLogged, st).facts
}

func (y *story) atEffect(endorser string, st *Statement) *Facts {
	y.t.Helper()
	return one(y.t, y.endorse(endorser, st), EventEffect, st).facts
}

func routine(dataset string) *DataBody {
	return &DataBody{Origin: OriginEDC, Purpose: PurposeRoutine, Dataset: dataset, SourceSystem: "Example EDC"}
}

func lockOf(label string, scope DataScope, members ...*Statement) *LockBody {
	b := &LockBody{Label: label, Type: LockFinal, Scope: scope}
	for _, st := range members {
		b.Members = append(b.Members, st.ID)
	}
	return b
}

// lock logs a lock and lets it take effect.
func (y *story) lock(b *LockBody) (*Statement, *Facts) {
	y.t.Helper()
	st := y.add("dm", "", KindDatabaseLock, b)
	return st, y.atEffect("stat", st)
}

func (y *story) unlock(lock *Statement, scope DataScope) (*Statement, *Facts) {
	y.t.Helper()
	st := y.add("dm", "", KindDatabaseUnlock, &UnlockBody{Lock: lock.ID, Scope: scope}, because("a query came late"))
	return st, y.atEffect("qa", st)
}

func TestProtocolFact(t *testing.T) {
	y := tell(t)
	if y.logged("edc", "701", KindDataset, routine("AE")).ProtocolLogged {
		t.Error("a protocol without one")
	}
	y.add("cmo", "", KindProtocolAmendment, &AmendmentBody{Type: AmendmentSubstantial}, document("P1", "2.0"))
	if y.logged("edc", "701", KindDataset, routine("AE")).ProtocolLogged {
		t.Error("an amendment is taken for the protocol")
	}
	y.add("cmo", "", KindProtocol, nil, document("P1", "1.0"))
	if !y.logged("edc", "701", KindDataset, routine("AE")).ProtocolLogged {
		t.Error("a logged protocol that is pending does not count")
	}
}

func TestRegistrationFacts(t *testing.T) {
	y := tell(t)
	if f := y.logged("cra", "", KindRegistration, &RegistrationBody{Registry: RegistryISRCTN, Number: "ISRCTN54460428"}); f.Registered || f.RegisteredDaysAfter != -1 {
		t.Errorf("before: got %v %d", f.Registered, f.RegisteredDaysAfter)
	}
	if f := y.logged("pi701", "701", KindFirstParticipant, nil); !f.Registered || !f.FirstOfTrial {
		t.Errorf("first participant: got %+v", f)
	}
	if f := y.logged("pi704", "704", KindFirstParticipant, nil); f.FirstOfTrial {
		t.Error("two first participants of the trial")
	}
	y.pass(36 * time.Hour)
	if f := y.logged("cra", "", KindRegistration, &RegistrationBody{Registry: RegistryNCT, Number: "NCT04573309"}); f.RegisteredDaysAfter != 2 {
		t.Errorf("got %d days, want 2", f.RegisteredDaysAfter)
	}
}

func TestRegistrationDeadline(t *testing.T) {
	within := func(b *CharterBody) { b.Parameters = map[string]int64{ParameterRegistrationDays: 21} }
	y := tell(t, within)
	first := y.add("pi701", "701", KindFirstParticipant, nil)
	none(t, y.pass(21*days), EventDeadline, first)
	if e := one(t, y.pass(time.Second), EventDeadline, first); e.Deadline != DeadlineRegistration || e.facts.Registered {
		t.Errorf("got %s, registered %v", e.Deadline, e.facts.Registered)
	}
	none(t, y.pass(21*days), EventDeadline, first)

	y = tell(t, within)
	first = y.add("pi701", "701", KindFirstParticipant, nil)
	y.add("cra", "", KindRegistration, &RegistrationBody{Registry: RegistryISRCTN, Number: "ISRCTN54460428"})
	none(t, y.pass(22*days), EventDeadline, first)
}

func TestHeadFacts(t *testing.T) {
	y, protocol, plan := begun(t)
	amendment := &AmendmentBody{Type: AmendmentSubstantial}
	second := y.add("cmo", "", KindProtocolAmendment, amendment, document("P1", "2.0"), replaces(protocol.ID))
	f := y.atEffect("stat", second)
	if !f.HasHead || f.Head != protocol.ID || !f.SupersedesHead || !f.SupersedesAncestor || f.Branch {
		t.Errorf("amendment of the head: got %+v", f)
	}
	cases := map[string]struct {
		st   *Statement
		want Facts // of the fields about documents
	}{
		"a version behind the head": {
			y.write("cmo", "", KindProtocolAmendment, amendment, document("P1", "3.0"), replaces(protocol.ID)),
			Facts{HasHead: true, Head: second.ID, Supersedes: true, SupersedesAncestor: true},
		},
		"without saying what it replaces": {
			y.write("cmo", "", KindProtocol, nil, document("P1", "3.0")), Facts{HasHead: true, Head: second.ID},
		},
		"a country's branch of an ancestor": {
			y.write("cmo", "", KindProtocolAmendment, amendment, document("P1", "2.0-DE"), scoped("DE"), replaces(protocol.ID)),
			Facts{Supersedes: true, SupersedesAncestor: true, Branch: true},
		},
		"another document": {
			y.write("cmo", "", KindProtocol, nil, document("P2", "1.0")), Facts{},
		},
		"another document that replaces this one": {
			y.write("cmo", "", KindProtocol, nil, document("P2", "1.0"), replaces(second.ID)), Facts{Supersedes: true},
		},
		"a protocol that replaces a plan": {
			y.write("cmo", "", KindProtocol, nil, document("SAP", "1.0"), replaces(plan.ID)), Facts{Supersedes: true},
		},
		"a statement that nobody knows": {
			y.write("cmo", "", KindProtocol, nil, document("P3", "1.0"), replaces(ID{7})), Facts{Supersedes: true},
		},
	}
	for name, c := range cases {
		got := one(t, y.feed(c.st), EventLogged, c.st).facts
		have := Facts{HasHead: got.HasHead, Head: got.Head, Supersedes: got.Supersedes, SupersedesHead: got.SupersedesHead,
			SupersedesAncestor: got.SupersedesAncestor, SupersedesBaseline: got.SupersedesBaseline, Branch: got.Branch}
		if !reflect.DeepEqual(have, c.want) {
			t.Errorf("%s: got %+v, want %+v", name, have, c.want)
		}
	}
}

func TestPlanFact(t *testing.T) {
	y := tell(t)
	plan := y.add("stat", "", KindSAP, nil)
	if y.atEffect("cmo", plan).SAPInEffect {
		t.Error("the plan is in effect before it takes effect")
	}
	if !y.logged("edc", "701", KindDataset, routine("AE")).SAPInEffect {
		t.Error("the plan is not in effect")
	}
}

func ethics(date string, decision EthicsDecision, ids ...ID) *EthicsDecisionBody {
	return &EthicsDecisionBody{Committee: "Ethics Committee", Decision: decision, Date: date, Approves: ids}
}

func TestDecisionFacts(t *testing.T) {
	y, protocol, _ := begun(t)
	icf := y.add("cmo", "", KindICF, nil, document("ICF", "1.0"))
	effective := func(date string, ids ...ID) []DecisionFact {
		t.Helper()
		return y.logged("cra", "701", KindVersionEffective, &VersionEffectiveBody{Statements: ids, Date: date}).Decisions
	}
	want := func(name string, got []DecisionFact, found, dated, inTime bool) {
		t.Helper()
		if len(got) != 1 || got[0].Found != found || got[0].DatedInTime != dated || got[0].LoggedInTime != inTime {
			t.Errorf("%s: got %+v, want found %v, dated in time %v, logged in time %v", name, got, found, dated, inTime)
		}
	}
	want("none", effective("2026-03-01", icf.ID), false, false, false)
	y.add("pi704", "704", KindEthicsDecision, ethics("2026-02-01", EthicsFavourable, icf.ID))
	want("of another site", effective("2026-03-01", icf.ID), false, false, false)
	y.add("pi701", "701", KindEthicsDecision, ethics("2026-02-01", EthicsUnfavourable, icf.ID))
	want("unfavourable", effective("2026-03-01", icf.ID), false, false, false)
	y.add("pi701", "701", KindEthicsDecision, ethics("2026-03-05", EthicsConditional, icf.ID))
	want("dated later", effective("2026-03-01", icf.ID), true, false, false)
	want("the same day", effective("2026-03-05", icf.ID), true, true, true)
	y.pass(2 * days)
	y.add("pi701", "701", KindEthicsDecision, ethics("2026-02-27", EthicsFavourable, icf.ID))
	want("dated in time, logged late", effective("2026-03-01", icf.ID), true, true, false)
	want("both", effective("2026-03-05", icf.ID), true, true, true)
	y.add("pi701", "701", KindEthicsDecision, ethics("2026-03-02", EthicsWithdrawn, icf.ID))
	want("withdrawn", effective("2026-03-05", icf.ID), false, false, false)

	byRef := ethics("2026-02-01", EthicsFavourable)
	byRef.Documents = []DocumentRef{{"P1", "1.0"}}
	y.add("cra", "", KindEthicsDecision, byRef)
	want("by document and version, for the whole trial", effective("2026-03-04", protocol.ID), true, true, true)
	if got := effective("2026-03-05", ID{9}); got[0].Known || got[0].Found {
		t.Errorf("an unknown version: got %+v", got)
	}
	y.now = testTime.Add(3 * days)
	if got := effective("", protocol.ID); got[0].EffectiveDate != "2026-03-04" {
		t.Errorf("without a date: got %s, want that of the declared time", got[0].EffectiveDate)
	}
	if !y.logged("cra", "701", KindVersionEffective, &VersionEffectiveBody{Statements: []ID{icf.ID}, Exempt: ExemptUrgent}).Exempt {
		t.Error("not exempt")
	}
}

func TestConsentFacts(t *testing.T) {
	y, protocol, _ := begun(t)
	one := y.add("cmo", "", KindICF, nil, document("ICF", "1.0"))
	two := y.add("cmo", "", KindICF, nil, document("ICF", "2.0"), replaces(one.ID))
	consents := func(site string, id ID) bool {
		t.Helper()
		return y.logged("pi"+site, site, KindConsentManifest, &ConsentManifestBody{ICF: id, Consents: 1, Cutoff: "2026-03-01"},
			subject("consents", Commitment{1}.Digests())).ICFEffective
	}
	first := func(site string, id ID) bool {
		t.Helper()
		return y.logged("pi"+site, site, KindFirstParticipant, &FirstParticipantBody{ICF: id}).ICFEffective
	}
	if consents("701", one.ID) || first("701", ID{}) {
		t.Error("effective before any version is")
	}
	y.add("cra", "701", KindVersionEffective, &VersionEffectiveBody{Statements: []ID{protocol.ID, one.ID}, Activation: true})
	if !consents("701", one.ID) || !first("701", ID{}) {
		t.Error("not effective after it was made so")
	}
	if consents("704", one.ID) || first("704", ID{}) || consents("701", two.ID) || first("701", protocol.ID) || first("701", ID{8}) {
		t.Error("effective at another site, or another version")
	}
	y.add("cra", "701", KindVersionEffective, &VersionEffectiveBody{Statements: []ID{two.ID}})
	if consents("701", one.ID) || !consents("701", two.ID) {
		t.Error("the second version did not replace the first at the site")
	}
}

func TestSealFacts(t *testing.T) {
	y := tell(t)
	c := Commitment{3}
	seal := y.add("ustat", "", KindRandomisationSeal, &SealBody{Scheme: CommitmentScheme}, subject("randomisation-list", c.Digests()))
	reveal := func(seal ID, c Commitment) *Facts {
		t.Helper()
		return y.logged("ustat", "", KindRandomisationReveal, &RevealBody{Seal: seal, Salt: [32]byte{1}},
			subject("list.csv", Digests{{DigestSHA256, bytesOf(1)}, {DigestCommitment, c}}))
	}
	if f := reveal(seal.ID, c); f.Sealed || f.CommitmentMatches {
		t.Errorf("a pending seal: got %+v", f)
	}
	y.endorse("qa", seal)
	if f := reveal(seal.ID, c); !f.Sealed || !f.CommitmentMatches {
		t.Errorf("got %+v, want a match", f)
	}
	if reveal(seal.ID, Commitment{4}).CommitmentMatches || reveal(ID{4}, c).CommitmentMatches || reveal(y.charter.ID, c).CommitmentMatches {
		t.Error("another list or another seal matches")
	}
}

func TestUnblindingFacts(t *testing.T) {
	y := tell(t, func(b *CharterBody) { b.UnblindingExempt = []string{"h-ustat"} })
	one1 := &UnblindingBody{Scope: UnblindParticipant, Emergency: true}
	act := y.write("pi701", "701", KindUnblinding, one1, because("emergency"), subject("participant", Commitment{1}.Digests()))
	if f := one(t, y.feed(act), EventLogged, act).facts; f.Unblinded || !f.EmergencySecondMissing || f.UnblindingExempt {
		t.Errorf("got %+v", f)
	}
	other := y.add("pi701", "701", KindUnblinding, one1, because("emergency"), subject("participant", Commitment{2}.Digests()))
	y.endorse("pi701", act) // the same person
	y.endorse("cmo", other)
	none(t, y.pass(7*days), EventDeadline, act)
	events := y.pass(time.Second)
	if e := one(t, events, EventDeadline, act); e.Deadline != DeadlineSecondSignature || !e.facts.EmergencySecondMissing {
		t.Errorf("got %s, %+v", e.Deadline, e.facts)
	}
	none(t, events, EventDeadline, other)

	f := y.logged("ustat", "", KindUnblinding, &UnblindingBody{Scope: UnblindTrial, Recipient: "h-ustat"})
	if !f.UnblindingExempt || f.Unblinded {
		t.Errorf("exempt: got %+v", f)
	}
	if y.logged("ustat", "", KindUnblinding, &UnblindingBody{Scope: UnblindTrial}).Unblinded {
		t.Error("the exempt unblinding unblinded the trial")
	}
	if !y.logged("edc", "701", KindDataset, routine("AE")).Unblinded {
		t.Error("not unblinded")
	}
}

func TestTimeFacts(t *testing.T) {
	y := tell(t)
	for _, c := range []struct {
		declared      time.Duration
		ahead, behind int64
	}{
		{0, 0, 0}, {300 * time.Second, 300, 0}, {300*time.Second + time.Millisecond, 301, 0},
		{-14 * days, 0, 14}, {-14*days - time.Millisecond, 0, 15}, {-90 * 365 * days, 0, 90 * 365},
	} {
		f := y.logged("edc", "701", KindDataset, routine("AE"), declared(y.now.Add(c.declared)))
		if f.AheadSeconds != c.ahead || f.BehindDays != c.behind {
			t.Errorf("%s: got %d s ahead, %d days behind, want %d and %d", c.declared, f.AheadSeconds, f.BehindDays, c.ahead, c.behind)
		}
	}
}

func TestMigrationFacts(t *testing.T) {
	y := tell(t)
	b := routine("AE")
	b.Migration = true
	old := declared(y.now.Add(-100 * days))
	if f := y.logged("edc", "701", KindDataset, b); !f.Migration || f.FirstMigration {
		t.Errorf("in time: got %+v", f)
	}
	if f := y.logged("edc", "701", KindDataset, b, old); !f.FirstMigration {
		t.Error("the first late one is not told apart")
	}
	if f := y.logged("edc", "704", KindDataset, b, old); f.FirstMigration {
		t.Error("the second late one is a first")
	}
	if f := y.logged("edc", "704", KindDataset, routine("AE"), old); f.Migration || f.FirstMigration {
		t.Error("data that are no backfill")
	}
}

func TestGapFacts(t *testing.T) {
	y := tell(t)
	gap := func(site, dataset string) int64 {
		t.Helper()
		return y.logged("edc", site, KindDataset, routine(dataset)).GapDays
	}
	if got := gap("701", "AE"); got != -1 {
		t.Errorf("the first: got %d", got)
	}
	y.add("edc", "704", KindDataset, routine("AE"))
	y.pass(35 * days)
	if got := gap("701", "AE"); got != 35 {
		t.Errorf("got %d days, want 35", got)
	}
	if got := gap("701", "DM"); got != -1 {
		t.Errorf("another dataset: got %d", got)
	}
	y.pass(time.Second)
	if got := gap("704", "AE"); got != 36 {
		t.Errorf("got %d days, want 36 begun", got)
	}
	migrated := routine("AE")
	migrated.Migration = true
	y.pass(40 * days)
	if got := y.logged("edc", "704", KindDataset, migrated).GapDays; got != -1 {
		t.Errorf("a backfill: got %d", got)
	}

	visit := y.write("cra", "701", KindLastVisit, nil)
	e := one(t, y.feed(visit), EventLastVisit, visit)
	if got := strings.Join(e.facts.SeriesOverdue, "; "); got != "AE of site 701 from Example EDC; DM of site 701 from Example EDC" {
		t.Errorf("overdue: got %q", got)
	}
	if got := gap("701", "AE"); got != -1 {
		t.Errorf("after the last visit: got %d", got)
	}
	y.pass(40 * days)
	closeout := y.write("cra", "", KindCloseout, nil)
	e = one(t, y.feed(closeout), EventCloseout, closeout)
	if got := strings.Join(e.facts.SeriesOverdue, "; "); got != "AE of site 704 from Example EDC" {
		t.Errorf("overdue at closeout: got %q", got)
	}
	again := y.write("cra", "", KindCloseout, nil)
	if e := one(t, y.feed(again), EventCloseout, again); len(e.facts.SeriesOverdue) != 0 {
		t.Errorf("overdue after closeout: got %v", e.facts.SeriesOverdue)
	}
}

func TestCloseoutEndsWhatIsPending(t *testing.T) {
	y := tell(t)
	plan := y.add("stat", "", KindSAP, nil)
	site := y.write("cra", "701", KindCloseout, nil)
	none(t, y.feed(site), EventCloseout, plan)
	all := y.write("cra", "", KindCloseout, nil)
	events := y.feed(all)
	if e := one(t, events, EventCloseout, plan); !e.facts.PendingTooLong || e.Act.Status != StatusVoid || len(e.facts.MissingRoles) != 1 {
		t.Errorf("got %s, %+v", e.Act.Status, e.facts)
	}
	if e := one(t, events, EventCloseout, all); e.facts.PendingTooLong {
		t.Error("the closeout itself is pending")
	}
	none(t, y.endorse("cmo", plan), EventEffect, plan)
	none(t, y.pass(9*days), EventOverdue, plan)
}
