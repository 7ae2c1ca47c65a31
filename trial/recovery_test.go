package trial

import "testing"

// A thief with the sponsor's key enrols keys, revokes one and registers a
// number. The recovery brings everything back that it does not confirm.
func TestRecovery(t *testing.T) {
	w := newWorld(t)
	dm := w.enrolment("dm")
	last := w.log(dm, "")
	inv := w.enrolment("inv701", ofSite(RoleInvestigator, "701"))
	invAt := w.log(inv, "") // genuine, after the last trusted index
	fake := w.enrolment("fake")
	fakeAt := w.log(fake, "")
	stolen := w.dataset(fake, "701")
	stolenAt := w.log(stolen, "")
	theft := w.revocation("dm", nil)
	theftAt := w.log(theft, "")
	data := w.dataset(dm, "701")
	dataAt := w.log(data, ReasonKeyRevoked) // raced into the log
	reg := w.registration("sponsor", RegistryISRCTN, "ISRCTN54460428")
	regAt := w.log(reg, "")

	rec := w.recovery("sponsor2", last, inv.ID)
	recAt := w.log(rec, "")
	w.judge(rec, recAt, "")
	if got := w.auth.SponsorKey().ID; got != publicKey(t, "sponsor2").ID {
		t.Errorf("SponsorKey: got %s, want the new one", got)
	}
	w.judge(dm, last, "")
	w.judge(inv, invAt, "")
	w.judge(fake, fakeAt, ReasonVoidByRecovery)
	w.judge(stolen, stolenAt, ReasonVoidByRecovery)
	w.judge(theft, theftAt, ReasonVoidByRecovery)
	w.judge(data, dataAt, "") // the revocation never was
	w.judge(reg, regAt, ReasonVoidByRecovery)
	w.log(w.dataset(dm, "701"), "")
	w.log(w.dataset(inv, "701"), "")
	w.log(w.dataset(fake, "701"), ReasonVoidByRecovery)
	if _, ok := w.auth.Key(publicKey(t, "fake").ID); !ok {
		t.Error("Key: a void key is not found, so its statements cannot be verified")
	}

	// The old key is out, the new one in.
	w.log(w.enrolment("later"), ReasonKeyRevoked)
	later := w.enrolment("later")
	later.Predicate.Signer.KeyID = publicKey(t, "sponsor2").ID
	marshal(t, later)
	w.judge(later, recAt, ReasonUnknownKey) // not before its index
	w.log(later, "")
	w.log(w.dataset(later, "701"), "")
	// A void key is free again, the old sponsor's is not.
	again := w.enrolment("fake")
	again.Predicate.Signer.KeyID = publicKey(t, "sponsor2").ID
	w.log(marshal(t, again), "")
	old := w.enrolment("sponsor")
	old.Predicate.Signer.KeyID = publicKey(t, "sponsor2").ID
	w.log(marshal(t, old), ReasonKeyInUse)
}

func TestRecoveryVoidsUnconfirmedActivation(t *testing.T) {
	w := newWorld(t)
	inv := w.enrolment("inv701", ofSite(RoleInvestigator, "701"))
	coord := w.enrolment("coord", ofSite(RoleSiteCoordinator, "701"))
	w.log(inv, "")
	last := w.log(coord, "")
	end := w.endorsement(inv, "701", coord.ID)
	endAt := w.log(end, "")
	st := w.dataset(coord, "701")
	at := w.log(st, "")

	confirmed := *w
	confirmed.auth = w.auth.Clone()
	confirmed.log(confirmed.recovery("sponsor2", last, end.ID), "")
	confirmed.judge(st, at, "")

	w.log(w.recovery("sponsor2", last), "")
	w.judge(end, endAt, ReasonVoidByRecovery)
	w.judge(st, at, ReasonKeyNotActive)
	w.log(w.endorsement(inv, "", coord.ID), "")
	w.log(st, "")
}

func TestRecoveryRefused(t *testing.T) {
	w := newWorld(t)
	e := w.enrolment("dm")
	w.log(e, "")
	w.log(w.recovery("sponsor", 10), ReasonKeyInUse)
	w.log(w.recovery("recovery", 10), ReasonKeyInUse)
	refused := w.recovery("dm", 10)
	at := w.log(refused, ReasonKeyInUse)
	b := &RecoveryBody{NewKey: publicKey(t, "sponsor2"), LastTrustedIndex: 10}
	b.Proof = prove(t, "thief", w.charter.ID, b)
	st := sponsorStatement(t, "recovery", w.charter.ID, KindKeyRecovery, b)
	st.Predicate.Signer.Role = RoleRecovery
	w.log(marshal(t, st), ReasonBadPossessionProof)

	// The key that was in use becomes void, and the refused recovery stays
	// without effect.
	w.log(w.recovery("sponsor2", 10), "")
	w.judge(refused, at, ReasonKeyInUse)
	w.log(w.recovery("sponsor3", w.at), "")
	if got := w.auth.SponsorKey().ID; got != publicKey(t, "sponsor3").ID {
		t.Errorf("SponsorKey: got %s, want that of the second recovery", got)
	}
	w.judge(e, 11, ReasonVoidByRecovery) // the second recovery does not undo the first
}

// A revocation that the recovery confirms stands, also where the enrolment of its
// key does not: a revoked key never comes back.
func TestConfirmedRevocationOfVoidKey(t *testing.T) {
	w := newWorld(t)
	last := w.log(w.enrolment("dm"), "")
	w.log(w.enrolment("fake"), "")
	rev := w.revocation("fake", nil)
	revAt := w.log(rev, "")
	w.log(w.recovery("sponsor2", last, rev.ID), "")
	w.judge(rev, revAt, "")
	again := w.enrolment("fake")
	again.Predicate.Signer.KeyID = publicKey(t, "sponsor2").ID
	w.log(marshal(t, again), ReasonKeyRevoked)
}
