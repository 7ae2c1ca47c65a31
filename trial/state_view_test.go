package trial

import (
	"testing"
)

func TestOverview(t *testing.T) {
	y := tell(t)
	if got := y.state.Overview(); got != (Overview{}) {
		t.Errorf("at the beginning: got %+v", got)
	}
	protocol := y.add("cmo", "", KindProtocol, nil)
	first := y.add("pi701", "701", KindFirstParticipant, nil)
	y.add("pi704", "704", KindFirstParticipant, nil)
	ended := y.add("cra", "", KindLastVisit, nil)
	lock, _ := y.lock(lockOf("1", DataScope{}, protocol))
	y.unlock(lock, DataScope{})
	unblinded := y.add("ustat", "", KindUnblinding, &UnblindingBody{Scope: UnblindTrial})
	closed := y.add("cra", "", KindCloseout, nil)
	got := y.state.Overview()
	if !got.ProtocolLogged || got.FirstParticipant.Statement != first.ID || got.Ended.Statement != ended.ID ||
		got.Unblinded.Statement != unblinded.ID || got.Closed.Statement != closed.ID || !got.Locked || !got.UnlockOpen {
		t.Errorf("got %+v", got)
	}
	if got.FirstParticipant.Index == 0 || !got.FirstParticipant.Time.Equal(y.now) {
		t.Errorf("got first participant %+v", got.FirstParticipant)
	}
}

// A number that only ties registrations together, or is the sponsor's, registers
// nothing.
func TestRegisteredByCharter(t *testing.T) {
	for name, number := range map[string]string{RegistryNCT: "NCT04573309", RegistryUTN: "U1111-1234-5678", RegistrySponsorProtocol: "ABC-1"} {
		y := tell(t)
		st := *y.charter
		st.Predicate.Trial = Registry{name: number}
		s, err := NewState(Logged{&st, 1, testTime})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Overview().Registered; got != (name == RegistryNCT) {
			t.Errorf("%s: got registered %v", name, got)
		}
	}
}

func TestSites(t *testing.T) {
	y, protocol, _ := begun(t)
	icf := y.add("cmo", "", KindICF, nil, document("ICF", "1.0"))
	next := y.add("cmo", "", KindICF, nil, document("ICF", "2.0"), scoped("DE"), replaces(icf.ID))
	opened := y.add("cra", "701", KindVersionEffective, &VersionEffectiveBody{Statements: []ID{protocol.ID, icf.ID}, Date: "2026-03-02", Activation: true})
	y.add("cra", "701", KindVersionEffective, &VersionEffectiveBody{Statements: []ID{next.ID}, Activation: true})
	y.add("pi701", "701", KindFirstParticipant, nil)
	y.add("cra", "704", KindLastVisit, nil)
	y.add("cra", "704", KindCloseout, nil)
	got := y.state.Sites()
	if len(got) != 2 || got[0].Site.ID != "701" || got[1].Site.ID != "704" {
		t.Fatalf("got %+v, want the charter's sites in order", got)
	}
	a, b := got[0], got[1]
	if a.Activated.Statement != opened.ID || a.FirstParticipant == nil || a.LastVisit != nil || a.Closed != nil {
		t.Errorf("701: got %+v", a)
	}
	if len(a.Effective) != 2 || a.Effective[0].Statement != protocol.ID || a.Effective[0].Date != "2026-03-02" || a.Effective[1].Version != "2.0" {
		t.Errorf("701: got versions %+v", a.Effective)
	}
	if b.Activated != nil || b.FirstParticipant != nil || b.LastVisit == nil || b.Closed == nil || len(b.Effective) != 0 {
		t.Errorf("704: got %+v", b)
	}
}

func TestSeriesView(t *testing.T) {
	y := tell(t)
	y.extract("701", "AE", 1)
	began := y.now
	y.pass(days)
	y.extract("701", "AE", 2)
	y.add("stat", "", KindDerivedDataset, routine("ADSL"))
	y.add("edc", "704", KindDataset, &DataBody{Origin: OriginEDC, Purpose: PurposeSubmission, Dataset: "AE"})
	at := y.now.Add(35 * days)
	if got := y.state.Overdue(at); len(got) != 0 {
		t.Errorf("in time: got %+v", got)
	}
	got := y.state.Overdue(at.Add(1))
	if len(got) != 1 || got[0].Site != "701" || got[0].Dataset != "AE" || got[0].Source != "Example EDC" || got[0].Extracts != 2 ||
		!got[0].First.Equal(began) || !got[0].Last.Equal(y.now) || !got[0].OverdueSince.Equal(at) {
		t.Errorf("got %+v", got)
	}
	y.add("cra", "701", KindCloseout, nil)
	if got := y.state.Overdue(at.Add(1)); len(got) != 0 {
		t.Errorf("after the site's closeout: got %+v", got)
	}
	if got := y.state.Series(at.Add(1)); len(got) != 1 || !got[0].OverdueSince.IsZero() {
		t.Errorf("got %+v, want the series of source data alone", got)
	}
}

func TestBlindingViews(t *testing.T) {
	y := tell(t, func(b *CharterBody) { b.UnblindingExempt = []string{"DMC"} })
	seal := y.add("ustat", "", KindRandomisationSeal, &SealBody{Scheme: CommitmentScheme}, subject("randomisation-list", Commitment{1}.Digests()))
	if got := y.state.Seals(); len(got) != 0 {
		t.Errorf("a pending seal: got %+v", got)
	}
	y.endorse("qa", seal)
	reveal := y.add("ustat", "", KindRandomisationReveal, &RevealBody{Seal: seal.ID, Salt: [32]byte{1}},
		subject("list.csv", Digests{{DigestSHA256, bytesOf(1)}, {DigestCommitment, Commitment{2}}}))
	if got := y.state.Seals(); len(got) != 1 || got[0].Logged.Statement != seal.ID || len(got[0].Reveals) != 1 || got[0].Reveals[0].Statement != reveal.ID {
		t.Errorf("got %+v", got)
	}
	y.add("ustat", "", KindUnblinding, &UnblindingBody{Scope: UnblindTrial, Recipient: "DMC"})
	one := y.add("pi701", "701", KindUnblinding, &UnblindingBody{Scope: UnblindParticipant, Emergency: true}, because("emergency"),
		subject("participant", Commitment{1}.Digests()))
	y.endorse("cmo", one)
	got := y.state.Unblindings()
	if len(got) != 2 || !got[0].Exempt || got[0].Second != nil || got[1].Site != "701" || !got[1].Emergency || got[1].Second.HolderID != "h-cmo" {
		t.Errorf("got %+v", got)
	}
}

func TestEnrolmentsView(t *testing.T) {
	y := tell(t)
	until := testTime.Add(days)
	y.feed(y.enrolment("brief", period(testTime, until)))
	coordinator := y.enrolment("coord", ofSite(RoleSiteCoordinator, "701", "704"))
	y.feed(coordinator)
	count := func() (n, waiting int, active []string) {
		for _, e := range y.state.Enrolments(y.now) {
			n++
			if e.Waits {
				waiting++
				active = e.ActiveAt
			}
		}
		return n, waiting, active
	}
	if n, waiting, active := count(); n != len(cast)+2 || waiting != 1 || len(active) != 0 {
		t.Errorf("got %d enrolments, %d waiting, active at %v", n, waiting, active)
	}
	y.endorse("pi701", coordinator)
	if _, waiting, active := count(); waiting != 1 || len(active) != 1 || active[0] != "701" {
		t.Errorf("got %d waiting, active at %v", waiting, active)
	}
	y.endorse("pi704", coordinator)
	y.feed(y.revocation("dm", nil))
	y.pass(days)
	if n, waiting, _ := count(); n != len(cast) || waiting != 0 {
		t.Errorf("after a revocation and an end: got %d enrolments, %d waiting, want %d and none", n, waiting, len(cast))
	}
}
