package trial

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func TestEnrolledKeySigns(t *testing.T) {
	w := newWorld(t)
	e := w.enrolment("dm")
	early := w.dataset(e, "701")
	w.log(early, ReasonUnknownKey)
	at := w.log(e, "")
	st := w.dataset(e, "701")
	w.log(st, "")
	s := w.judge(st, w.at, "")
	if s.Since != at || s.HolderID != "h-dm" || s.Name != "Name of dm" || s.Enrolment != e.ID || !slices.Equal(s.Roles, []Role{RoleDataManager}) {
		t.Errorf("got standing %+v, want that of the enrolment at index %d", s, at)
	}
	w.judge(st, at, ReasonUnknownKey)
	w.judge(st, at-1, ReasonUnknownKey)
	w.log(w.dataset(e, ""), "") // trial-wide
	if k, ok := w.auth.Key(e.Predicate.Body.(*EnrolmentBody).Key.ID); !ok || k.ID != publicKey(t, "dm").ID {
		t.Errorf("Key: got %v, %t", k, ok)
	}
}

func TestSignerIsWhoWasEnrolled(t *testing.T) {
	w := newWorld(t)
	e := w.enrolment("dm", atSite("701"))
	w.log(e, "")
	change := func(f func(p *Predicate)) *Statement {
		st := w.dataset(e, "701")
		f(&st.Predicate)
		return marshal(t, st)
	}
	for name, c := range map[string]struct {
		st   *Statement
		want Reason
	}{
		"as enrolled":        {w.dataset(e, "701"), ""},
		"other site":         {w.dataset(e, "704"), ReasonKeyOtherSite},
		"trial-wide":         {w.dataset(e, ""), ReasonKeyOtherSite},
		"unknown site":       {w.dataset(e, "999"), ReasonUnknownSite},
		"other kind":         {change(func(p *Predicate) { p.Kind, p.Body = KindTMFDocument, &TMFBody{} }), ReasonKeyOtherKind},
		"other role":         {change(func(p *Predicate) { p.Signer.Role = RoleQA }), ReasonRoleNotAllowed},
		"other name":         {change(func(p *Predicate) { p.Signer.Name = "Somebody Else" }), ReasonSignerMismatch},
		"other organisation": {change(func(p *Predicate) { p.Signer.Organisation = "Clinic North" }), ReasonSignerMismatch},
		"other trial":        {change(func(p *Predicate) { p.Charter = hash32(hexOf('b')) }), ReasonOtherTrial},
		"unknown kind":       {change(func(p *Predicate) { p.Kind, p.Body = "unknown-kind", nil }), ReasonUnknownKind},
		"registry matches":   {change(func(p *Predicate) { p.Trial = Registry{RegistryNCT: "NCT04573309"} }), ""},
		"EU CT resubmission": {change(func(p *Predicate) { p.Trial = Registry{RegistryEUCT: "2022-501549-57-01"} }), ""},
		"registry differs":   {change(func(p *Predicate) { p.Trial = Registry{RegistryNCT: "NCT04573310"} }), ReasonRegistryMismatch},
		"registry not given": {change(func(p *Predicate) { p.Trial = Registry{RegistryISRCTN: "ISRCTN54460428"} }), ReasonRegistryMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ReasonOf(w.auth.Admit(c.st, w.now)); got != c.want {
				t.Errorf("Admit: got %q, want %q", got, c.want)
			}
		})
	}
}

func TestSponsorAndRecoveryKeySignTheirsAlone(t *testing.T) {
	w := newWorld(t)
	e := w.enrolment("dm")
	w.log(e, "")
	data := func(key string, role Role) *Statement {
		st := w.dataset(e, "701")
		st.Predicate.Signer = Signer{KeyID: publicKey(t, key).ID, Name: "N", Role: role, Organisation: "Sponsor AG"}
		return marshal(t, st)
	}
	w.log(data("sponsor", RoleSponsor), ReasonKindNotAllowed)
	w.log(data("recovery", RoleRecovery), ReasonKindNotAllowed)

	by := func(st *Statement, key string, role Role) *Statement {
		st.Predicate.Signer.KeyID, st.Predicate.Signer.Role = publicKey(t, key).ID, role
		return marshal(t, st)
	}
	w.log(by(w.enrolment("x"), "dm", RoleSponsor), ReasonKindNotAllowed)
	w.log(by(w.enrolment("x"), "recovery", RoleRecovery), ReasonKindNotAllowed)
	w.log(by(w.enrolment("x"), "nobody", RoleSponsor), ReasonKindNotAllowed)
	w.log(by(w.recovery("new", 10), "sponsor", RoleSponsor), ReasonKindNotAllowed)
	w.log(by(w.enrolment("x"), "sponsor", RoleQA), ReasonRoleNotAllowed)
	other := w.enrolment("x")
	other.Predicate.Signer.Organisation = "Another AG"
	w.log(marshal(t, other), ReasonSignerMismatch)
	w.log(charterStatement(t), ReasonOtherTrial)
	mark, err := NewTimeMark(publicKey(t, "notary").ID, TimeMarkBody{Origin: "log.example", Time: testTime})
	if err != nil {
		t.Fatal(err)
	}
	w.log(mark, ReasonKindNotAllowed)
}

func TestValidityIsHalfOpenByLogTime(t *testing.T) {
	w := newWorld(t)
	from, until := testTime.Add(time.Hour), testTime.Add(2*time.Hour)
	e := w.enrolment("dm", period(from, until))
	w.log(e, "")
	st := w.dataset(e, "701")
	for _, c := range []struct {
		at   time.Time
		want Reason
	}{
		{from.Add(-time.Millisecond), ReasonKeyNotYetValid},
		{from, ""},
		{until.Add(-time.Millisecond), ""},
		{until, ReasonKeyExpired},
	} {
		w.now = c.at
		w.log(st, c.want)
		w.judge(st, w.at, c.want)
	}
	if _, err := w.auth.Judge(st, w.at, nil); err != nil {
		t.Errorf("Judge without time: got %v, want no check of the period", err)
	}
	// Enrolled again for longer: either period will do.
	w.log(w.enrolment("dm", period(until, until.Add(time.Hour))), "")
	w.log(st, "")
	w.now = from
	w.log(st, "")
}

func TestSiteKeyWaitsForItsInvestigator(t *testing.T) {
	w := newWorld(t)
	inv := w.enrolment("inv701", ofSite(RoleInvestigator, "701"))
	inv4 := w.enrolment("inv704", ofSite(RoleInvestigator, "704"))
	coord := w.enrolment("coord", ofSite(RoleSiteCoordinator, "701", "704"))
	qa := w.enrolment("qa", func(b *EnrolmentBody) { b.Roles = []Role{RoleQA} })
	w.log(w.endorsement(inv, "701", coord.ID), ReasonUnknownKey)
	for _, e := range []*Statement{inv, inv4, coord, qa} {
		w.log(e, "")
	}
	st := w.dataset(coord, "701")
	w.log(w.dataset(inv, "701"), "") // investigators are active at once
	w.log(st, ReasonKeyNotActive)
	w.log(w.endorsement(coord, "701", coord.ID), ReasonKeyNotActive) // not by itself
	w.log(w.endorsement(qa, "701", coord.ID), "")                    // a person, but no investigator
	w.log(st, ReasonKeyNotActive)
	w.log(w.endorsement(inv4, "701", coord.ID), ReasonKeyOtherSite)
	w.log(w.endorsement(inv4, "704", coord.ID), "")
	w.log(st, ReasonKeyNotActive) // the other site's
	w.log(w.dataset(coord, "704"), "")
	at := w.log(w.endorsement(inv, "", coord.ID), "") // trial-wide: at the endorser's sites
	w.log(st, "")
	if s := w.judge(st, w.at, ""); s.Since != at {
		t.Errorf("got active since %d, want %d", s.Since, at)
	}
	w.judge(st, at, ReasonKeyNotActive)
}

func TestOnlyPersonsEndorse(t *testing.T) {
	w := newWorld(t)
	inv := w.enrolment("inv701", ofSite(RoleInvestigator, "701"))
	sys := w.enrolment("sys", ofSite(RoleSiteSystem, "701"))
	w.log(inv, "")
	w.log(sys, "")
	w.log(w.endorsement(inv, "701", sys.ID), "")
	w.log(w.dataset(sys, "701"), "")
	w.log(w.endorsement(sys, "701", hash32(hexOf('c'))), ReasonNotAPerson)
	// What the fold does not hold is for whoever keeps the statements to know.
	w.log(w.endorsement(inv, "701", hash32(hexOf('c'))), "")
}

func TestEndorsementFollowsItsAct(t *testing.T) {
	w := newWorld(t)
	inv := w.enrolment("inv701", ofSite(RoleInvestigator, "701"))
	coord := w.enrolment("coord", ofSite(RoleSiteCoordinator, "701"))
	w.log(inv, "")
	end := w.endorsement(inv, "701", coord.ID)
	early := w.log(end, "") // about a statement that nobody knows
	w.log(coord, "")
	w.log(w.dataset(coord, "701"), ReasonKeyNotActive)
	w.judge(end, early, ReasonUnknownStatement)
}

func TestRevocation(t *testing.T) {
	w := newWorld(t)
	e := w.enrolment("dm")
	w.log(e, "")
	st := w.dataset(e, "701")
	earlier := w.log(w.dataset(e, "704"), "")
	before := w.log(st, "")
	at := w.log(w.revocation("dm", nil), "")
	w.log(st, ReasonKeyRevoked)
	w.judge(st, before, "")
	w.judge(st, at, "")
	w.judge(st, at+1, ReasonKeyRevoked)
	w.log(w.enrolment("dm"), ReasonKeyRevoked) // never comes back
	w.log(w.revocation("nobody", nil), ReasonUnknownKey)
	w.log(w.revocation("sponsor", nil), ReasonKeyNotRevocable)
	w.log(w.revocation("recovery", nil), ReasonKeyNotRevocable)
	if _, ok := w.auth.Key(publicKey(t, "dm").ID); !ok {
		t.Error("Key: a revoked key is not found, so its statements cannot be verified")
	}
	// Found out later: it was stolen earlier.
	since := before
	w.log(w.revocation("dm", &since), "")
	w.judge(st, before, ReasonKeySuspect)
	w.judge(st, earlier, "")
	w.judge(st, at+1, ReasonKeyRevoked)
}

func TestSuspectKeyDetail(t *testing.T) {
	w := newWorld(t)
	e := w.enrolment("dm")
	w.log(e, "")
	st := w.dataset(e, "701")
	since := w.log(st, "")
	w.log(w.revocation("dm", &since), "")
	_, err := w.auth.Judge(st, since, nil)
	var r *Refusal
	if !errors.As(err, &r) || r.Detail != "key suspect since 12" {
		t.Errorf("got %v, want detail %q", err, "key suspect since 12")
	}
}

func TestSuspectInvestigatorActivatesNothing(t *testing.T) {
	w := newWorld(t)
	inv := w.enrolment("inv701", ofSite(RoleInvestigator, "701"))
	coord := w.enrolment("coord", ofSite(RoleSiteCoordinator, "701"))
	w.log(inv, "")
	w.log(coord, "")
	end := w.endorsement(inv, "701", coord.ID)
	since := w.log(end, "")
	st := w.dataset(coord, "701")
	at := w.log(st, "")
	w.log(w.revocation("inv701", &since), "")
	w.judge(end, since, ReasonKeySuspect)
	w.judge(st, at, ReasonKeyNotActive)
	// Another investigator of the site may endorse it anew.
	inv2 := w.enrolment("inv701b", ofSite(RoleInvestigator, "701"))
	w.log(inv2, "")
	w.log(w.endorsement(inv2, "701", coord.ID), "")
	w.log(st, "")
}

func TestHoldersAndKeys(t *testing.T) {
	w := newWorld(t)
	w.log(w.enrolment("dm"), "")
	same := func(b *EnrolmentBody) { b.HolderID, b.Name = "h-dm", "Name of dm" }
	w.log(w.enrolment("dm2", same), "") // several keys
	w.log(w.enrolment("dm3", same, func(b *EnrolmentBody) { b.Name = "Other" }), ReasonHolderMismatch)
	w.log(w.enrolment("dm3", same, func(b *EnrolmentBody) {
		b.Holder, b.Roles = HolderSystem, []Role{RoleSponsorSystem}
	}), ReasonHolderMismatch)
	w.log(w.enrolment("dm", func(b *EnrolmentBody) { b.HolderID = "h-other" }), ReasonKeyInUse)
	w.log(w.enrolment("sponsor"), ReasonKeyInUse)
	w.log(w.enrolment("recovery"), ReasonKeyInUse)
	w.log(w.enrolment("x", func(b *EnrolmentBody) { b.Roles = []Role{"wizard"} }), ReasonUnknownRole)
	w.log(w.enrolment("x", func(b *EnrolmentBody) { b.Roles = []Role{"imaging-reader"} }), "")
	w.log(w.enrolment("y", atSite("701", "999")), ReasonUnknownSite)
}

func TestPossession(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(b *EnrolmentBody){
		"another's signature":  func(b *EnrolmentBody) { b.Proof = prove(t, "thief", w.charter.ID, b) },
		"another body":         func(b *EnrolmentBody) { b.Name = "Changed" },
		"another trial":        func(b *EnrolmentBody) { b.Proof = prove(t, "x", hash32(hexOf('d')), b) },
		"a statement's domain": func(b *EnrolmentBody) { b.Proof = mustSign(t, "x", []byte("{}")) },
	} {
		t.Run(name, func(t *testing.T) {
			b := enrolmentBody(t, "x")
			b.Proof = prove(t, "x", w.charter.ID, b)
			change(b)
			st := marshal(t, sponsorStatement(t, "sponsor", w.charter.ID, KindKeyEnrolment, b))
			wantRefusal(t, w.auth.Admit(st, w.now), ReasonBadPossessionProof, "predicate.body.proof")
		})
	}
	b := charterBody(t)
	b.SponsorProof = prove(t, "sponsor", ID{}, b)
	b.RecoveryProof = prove(t, "sponsor", ID{}, b)
	st := marshal(t, sponsorStatement(t, "sponsor", ID{}, KindCharter, b))
	_, err := NewAuthority(st, 0)
	wantRefusal(t, err, ReasonBadPossessionProof, "predicate.body.recoveryProof")
}

func mustSign(tb testing.TB, key string, payload []byte) []byte {
	tb.Helper()
	e, err := Sign(testKey(tb, key), payload)
	if err != nil {
		tb.Fatal(err)
	}
	return e.Sig
}

func TestNewAuthorityRefuses(t *testing.T) {
	w := newWorld(t)
	_, err := NewAuthority(w.enrolment("dm"), 0)
	wantRefusal(t, err, ReasonKindNotAllowed, "predicate.kind")
	st := charterStatement(t)
	st.Predicate.Signer.Organisation = "Another AG"
	_, err = NewAuthority(marshal(t, st), 0)
	wantRefusal(t, err, ReasonSignerMismatch, "predicate.signer.organisation")
	st = charterStatement(t)
	st.Predicate.Signer.Role = RoleQA
	_, err = NewAuthority(marshal(t, st), 0)
	wantRefusal(t, err, ReasonRoleNotAllowed, "predicate.signer.role")
}

func TestRegistrationAddsNumbers(t *testing.T) {
	w := newWorld(t)
	e := w.enrolment("dm")
	w.log(e, "")
	data := w.dataset(e, "701")
	data.Predicate.Trial = Registry{RegistryISRCTN: "ISRCTN54460428"}
	marshal(t, data)
	w.log(data, ReasonRegistryMismatch)
	w.log(w.registration("sponsor", RegistryISRCTN, "ISRCTN54460428"), "")
	w.log(data, "")
	want := []string{"2022-501549-57", "ISRCTN54460428", "NCT04573309"}
	if got := w.auth.Registry(); !slices.Equal(got, want) {
		t.Errorf("Registry: got %q, want %q", got, want)
	}
	// An enrolled key may register as well, where it may sign the kind.
	st := w.signed(e, "", KindRegistration, &RegistrationBody{Registry: RegistryDRKS, Number: "DRKS00012345"})
	w.log(marshal(t, st), "")
}

func (w *world) registration(key, registry, number string) *Statement {
	w.t.Helper()
	st := sponsorStatement(w.t, key, w.charter.ID, KindRegistration, &RegistrationBody{Registry: registry, Number: number})
	st.Predicate.Declared = NewInstant(testTime, "UTC")
	return marshal(w.t, st)
}

func TestOrderAndDuplicates(t *testing.T) {
	w := newWorld(t)
	e := w.enrolment("dm")
	w.log(e, "")
	if err := w.auth.Apply(e, w.at, w.now); ReasonOf(err) != ReasonAlreadyLogged {
		t.Errorf("second entry: got %v, want %s", err, ReasonAlreadyLogged)
	}
	if err := w.auth.Apply(w.charter, w.at+1, w.now); ReasonOf(err) != ReasonAlreadyLogged {
		t.Errorf("the charter again: got %v, want %s", err, ReasonAlreadyLogged)
	}
	err := w.auth.Apply(w.enrolment("x"), w.at, w.now)
	if err == nil || ReasonOf(err) != "" {
		t.Errorf("earlier index: got %v, want an error that is no refusal", err)
	}
	if s := w.judge(w.charter, 10, ""); s.Roles[0] != RoleSponsor || s.Since != 10 {
		t.Errorf("the charter's standing: got %+v", s)
	}
	if got := w.auth.KnownUpTo(); got != w.at+1 {
		t.Errorf("KnownUpTo: got %d, want %d", got, w.at+1)
	}
}

func TestAffectsAuthority(t *testing.T) {
	w := newWorld(t)
	e := w.enrolment("dm")
	refused := w.enrolment("x", func(b *EnrolmentBody) { b.Roles = []Role{"wizard"} })
	w.log(e, "")
	w.log(refused, ReasonUnknownRole)
	for _, c := range []struct {
		st   *Statement
		want bool
	}{
		{w.charter, true},
		{w.revocation("dm", nil), true},
		{w.registration("sponsor", RegistryUTN, "U1111-1115-2414"), true},
		{w.dataset(e, "701"), false},
		{w.endorsement(e, "", e.ID), true},
		{w.endorsement(e, "", refused.ID), true},
		{w.endorsement(e, "", w.dataset(e, "701").ID), false},
	} {
		if got := AffectsAuthority(c.st, w.auth); got != c.want {
			t.Errorf("AffectsAuthority(%s): got %t, want %t", c.st.Predicate.Kind, got, c.want)
		}
	}
}
