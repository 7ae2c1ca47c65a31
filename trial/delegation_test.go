package trial

import (
	"testing"
	"time"
)

// delegateOf makes the holder a delegate's, whose key may enrol.
func delegateOf(organisation string) enrolOption {
	return func(b *EnrolmentBody) {
		b.Organisation, b.OrganisationType = organisation, OrganisationCRO
		b.Kinds = append(b.Kinds, KindKeyEnrolment)
	}
}

func (w *world) delegation(to string, begins time.Time, ends *time.Time, keys ...string) *Statement {
	w.t.Helper()
	b := &DelegationBody{
		From: "Sponsor AG", To: to, Obligations: []string{"site management", ObligationKeyEnrolment}, Begins: begins, Ends: ends,
	}
	for _, k := range keys {
		b.Keys = append(b.Keys, publicKey(w.t, k).ID)
	}
	return marshal(w.t, sponsorStatement(w.t, "sponsor", w.charter.ID, KindDelegation, b))
}

// enrolledBy is an enrolment that a delegate signs.
func (w *world) enrolledBy(delegate *Statement, key string, opts ...enrolOption) *Statement {
	w.t.Helper()
	st := w.enrolment(key, opts...)
	e := delegate.Predicate.Body.(*EnrolmentBody)
	st.Predicate.Signer = Signer{KeyID: e.Key.ID, Name: e.Name, Role: e.Roles[0], Organisation: e.Organisation}
	return marshal(w.t, st)
}

func staff(key string, opts ...enrolOption) []enrolOption {
	return append([]enrolOption{func(b *EnrolmentBody) {
		b.HolderID, b.Organisation, b.OrganisationType = "h-"+key, "Acme CRO", OrganisationCRO
	}}, opts...)
}

// delegatedWorld has a delegate whose delegation runs for a day.
func delegatedWorld(t *testing.T, opts ...enrolOption) (w *world, cro, delegation *Statement) {
	t.Helper()
	w = newWorld(t)
	cro = w.enrolment("cro", append([]enrolOption{delegateOf("Acme CRO")}, opts...)...)
	w.log(cro, "")
	ends := w.now.Add(24 * time.Hour)
	delegation = w.delegation("Acme CRO", w.now, &ends, "cro")
	return w, cro, delegation
}

func TestDelegateEnrols(t *testing.T) {
	w, cro, delegation := delegatedWorld(t)
	inv := w.enrolledBy(cro, "inv", ofSite(RoleInvestigator, "701"))
	w.log(inv, ReasonNotDelegated) // before it is delegated
	w.now = w.now.Add(-time.Minute)
	w.log(delegation, "")
	w.log(w.enrolledBy(cro, "dm2", staff("dm2")...), ReasonNotDelegated) // before it begins
	w.now = w.now.Add(time.Minute)
	dm3 := w.enrolledBy(cro, "dm3", staff("dm3")...)
	at := w.log(dm3, "")
	w.log(w.dataset(dm3, "701"), "")
	if s := w.judge(w.dataset(dm3, ""), w.at, ""); s.Enrolment != dm3.ID || s.Since != at {
		t.Errorf("got standing %+v, want that of the delegate's enrolment at index %d", s, at)
	}
	w.now = w.now.Add(24*time.Hour - time.Millisecond)
	w.log(w.enrolledBy(cro, "dm4", staff("dm4")...), "")
	w.now = w.now.Add(time.Millisecond)
	w.log(w.enrolledBy(cro, "dm5", staff("dm5")...), ReasonNotDelegated) // after it ended
	w.log(w.dataset(dm3, "701"), "")                                     // what was enrolled stays
	if list := w.auth.Delegations(); len(list) != 1 || list[0].Statement != delegation.ID {
		t.Errorf("got delegations %+v", list)
	}
}

func TestDelegateEnrolsWithinItsOwn(t *testing.T) {
	w, cro, delegation := delegatedWorld(t, atSite("701"))
	w.log(delegation, "")
	w.log(w.enrolment("statistician"), "")
	other := w.enrolment("other", delegateOf("Other CRO"))
	w.log(other, "")
	kinds := func(kinds ...Kind) enrolOption { return func(b *EnrolmentBody) { b.Kinds = kinds } }
	for name, c := range map[string]struct {
		st   *Statement
		want Reason
	}{
		"its site":               {w.enrolledBy(cro, "x", staff("x", atSite("701"))...), ""},
		"another site":           {w.enrolledBy(cro, "x", staff("x", atSite("704"))...), ReasonNotDelegated},
		"one of two sites":       {w.enrolledBy(cro, "x", staff("x", atSite("701", "704"))...), ReasonNotDelegated},
		"all sites":              {w.enrolledBy(cro, "x", staff("x")...), ReasonNotDelegated},
		"an investigator":        {w.enrolledBy(cro, "x", ofSite(RoleInvestigator, "701")), ""},
		"a kind of later":        {w.enrolledBy(cro, "x", staff("x", atSite("701"), kinds("vote"))...), ""},
		"the right to enrol":     {w.enrolledBy(cro, "x", staff("x", atSite("701"), kinds(KindKeyEnrolment))...), ReasonNotDelegated},
		"itself":                 {w.enrolledBy(cro, "cro", staff("cro", atSite("701"))...), ReasonNotDelegated},
		"itself by another key":  {w.enrolledBy(cro, "x", staff("cro", atSite("701"))...), ReasonNotDelegated},
		"the sponsor's people":   {w.enrolledBy(cro, "x", atSite("701")), ReasonNotDelegated},
		"the sponsor by name":    {w.enrolledBy(cro, "x", staff("x", atSite("701"), func(b *EnrolmentBody) { b.Organisation = "Sponsor AG" })...), ReasonNotDelegated},
		"a holder of the other":  {w.enrolledBy(cro, "x", staff("statistician", atSite("701"))...), ReasonNotDelegated},
		"a holder by its name":   {w.enrolledBy(cro, "x", staff("statistician", atSite("701"), func(b *EnrolmentBody) { b.Name = "Name of statistician" })...), ReasonNotDelegated},
		"by who is not named":    {w.enrolledBy(other, "x", staff("x", atSite("701"))...), ReasonNotDelegated},
		"by who may not at all":  {w.enrolledBy(w.enrolment("statistician"), "x", staff("x")...), ReasonKindNotAllowed},
		"by nobody":              {w.enrolledBy(w.enrolment("nobody"), "x", staff("x")...), ReasonKindNotAllowed},
		"in a role it has not":   {change(w.enrolledBy(cro, "x", staff("x", atSite("701"))...), func(p *Predicate) { p.Signer.Role = RoleQA }), ReasonRoleNotAllowed},
		"a revocation":           {revokedBy(w, cro), ReasonKindNotAllowed},
		"a delegation":           {delegatedBy(w, cro), ReasonKindNotAllowed},
		"a proof of another key": {badProof(w, cro), ReasonBadPossessionProof},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ReasonOf(w.auth.Admit(c.st, w.now)); got != c.want {
				t.Errorf("Admit: got %q, want %q", got, c.want)
			}
		})
	}
}

func change(st *Statement, f func(p *Predicate)) *Statement {
	f(&st.Predicate)
	if _, err := MarshalStatement(st); err != nil {
		panic(err)
	}
	return st
}

func by(cro *Statement) func(p *Predicate) {
	e := cro.Predicate.Body.(*EnrolmentBody)
	return func(p *Predicate) {
		p.Signer = Signer{KeyID: e.Key.ID, Name: e.Name, Role: e.Roles[0], Organisation: e.Organisation}
	}
}

func revokedBy(w *world, cro *Statement) *Statement {
	return change(w.revocation("statistician", nil), by(cro))
}

func delegatedBy(w *world, cro *Statement) *Statement {
	return change(w.delegation("Third CRO", w.now, nil), by(cro))
}

func badProof(w *world, cro *Statement) *Statement {
	st := w.enrolledBy(cro, "x", staff("x", atSite("701"))...)
	return change(st, func(p *Predicate) {
		b := *p.Body.(*EnrolmentBody)
		b.Proof = prove(w.t, "y", w.charter.ID, &b)
		p.Body = &b
	})
}

func TestDelegationNamesKeysOfTheDelegate(t *testing.T) {
	w, _, _ := delegatedWorld(t)
	w.log(w.enrolment("dm"), "")
	w.log(w.delegation("Acme CRO", w.now, nil, "dm"), ReasonUnknownKey)    // the sponsor's
	w.log(w.delegation("Acme CRO", w.now, nil, "never"), ReasonUnknownKey) // nobody's
	w.log(w.delegation("Other CRO", w.now, nil, "cro"), ReasonUnknownKey)  // another delegate's
	w.log(w.delegation("Acme CRO", w.now, nil), "")                        // keys are optional
	w.log(w.delegation("Acme CRO", w.now, nil, "cro"), "")
}

func TestDelegationNeedsTheObligation(t *testing.T) {
	w, cro, _ := delegatedWorld(t)
	d := w.delegation("Acme CRO", w.now, nil, "cro")
	d.Predicate.Body.(*DelegationBody).Obligations = []string{"monitoring"}
	w.log(marshal(t, d), "")
	w.log(w.enrolledBy(cro, "x", staff("x")...), ReasonNotDelegated)
}

func TestDelegationIsSuperseded(t *testing.T) {
	w, cro, delegation := delegatedWorld(t)
	at := w.log(delegation, "")
	next := w.delegation("Acme CRO", w.now, nil, "cro")
	next.Predicate.Body.(*DelegationBody).Obligations = []string{"monitoring"}
	next.Predicate.Supersedes, next.Predicate.Reason = delegation.ID, "The sponsor enrols again"
	marshal(t, next)
	x := w.enrolledBy(cro, "x", staff("x")...)
	w.log(x, "")
	ended := w.log(next, "")
	w.log(w.enrolledBy(cro, "y", staff("y")...), ReasonNotDelegated)
	w.log(w.dataset(x, "701"), "")
	if list := w.auth.Delegations(); len(list) != 2 || list[0].Index != at || list[0].Ended != ended {
		t.Errorf("got delegations %+v, want the first to end at index %d", list, ended)
	}
	again := *next
	again.Predicate.Salt = [32]byte{}
	w.log(marshal(t, &again), ReasonUnknownStatement) // it ended already
}

func TestRevokedDelegateEnrolsNobody(t *testing.T) {
	w, cro, delegation := delegatedWorld(t)
	w.log(delegation, "")
	x := w.enrolledBy(cro, "x", staff("x")...)
	w.log(x, "")
	since := w.log(w.dataset(x, "701"), "")
	y := w.enrolledBy(cro, "y", staff("y")...)
	w.log(y, "")
	used := w.log(w.dataset(y, "701"), "")
	w.log(w.revocation("cro", &since), "")
	w.log(w.enrolledBy(cro, "z", staff("z")...), ReasonKeyRevoked)
	w.log(w.dataset(x, "701"), "")                   // enrolled before the key was suspect
	w.log(w.dataset(y, "701"), ReasonVoidByRecovery) // enrolled by a suspect key
	w.judge(w.dataset(y, "701"), used, ReasonVoidByRecovery)
}

func TestRecoveryVoidsDelegations(t *testing.T) {
	w, cro, delegation := delegatedWorld(t)
	last := w.at - 1
	w.log(delegation, "")
	x := w.enrolledBy(cro, "x", staff("x")...)
	w.log(x, "")
	w.log(w.recovery("sponsor2", last, x.ID), "") // confirms the enrolment, not the delegation
	w.judge(delegation, last+1, ReasonVoidByRecovery)
	w.judge(x, last+2, ReasonNotDelegated)
	w.log(w.enrolledBy(cro, "y", staff("y")...), ReasonNotDelegated)
	if list := w.auth.Delegations(); len(list) != 0 {
		t.Errorf("got delegations %+v, want none", list)
	}
}

func TestRecoveryConfirmsDelegations(t *testing.T) {
	w, cro, delegation := delegatedWorld(t)
	last := w.at - 1
	w.log(delegation, "")
	x, y := w.enrolledBy(cro, "x", staff("x")...), w.enrolledBy(cro, "y", staff("y")...)
	w.log(x, "")
	w.log(y, "")
	w.log(w.recovery("sponsor2", last, delegation.ID, x.ID), "")
	w.log(w.dataset(x, "701"), "")
	w.log(w.dataset(y, "701"), ReasonVoidByRecovery)
	w.log(w.enrolledBy(cro, "z", staff("z")...), "")
}
