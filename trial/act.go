package trial

import "slices"

// checkAct judges what an authority statement would change at index.
func (a *Authority) checkAct(st *Statement, index uint64) *Refusal {
	if AffectsAuthority(st, a) && a.void(st.ID, index) && st.Predicate.Kind != KindKeyRecovery {
		return refuse(ReasonVoidByRecovery, "", "void since the sponsor's key was recovered: not confirmed, after the last trusted index")
	}
	switch b := st.Predicate.Body.(type) {
	case *EnrolmentBody:
		return a.checkEnrolment(st, b, index)
	case *RevocationBody:
		return a.checkRevocation(b, index)
	case *DelegationBody:
		return a.checkDelegation(st, b, index)
	case *RecoveryBody:
		if i, ok := a.byID[st.ID]; ok && a.log[i].index == index {
			// No later fact makes a recovery take effect or lose it.
			return a.log[i].refusal
		}
		if bad := a.unused(b.NewKey, "predicate.body.newKey", index); bad != nil {
			return bad
		}
		return a.proven(st)
	case *EndorsementBody:
		if i, ok := a.byID[b.Statement]; ok && a.log[i].index >= index {
			return refuse(ReasonUnknownStatement, "predicate.body.statement", "the statement is logged after its endorsement")
		}
	}
	return nil
}

// void tells whether a recovery made an authority statement at index void.
func (a *Authority) void(id ID, index uint64) bool {
	for _, r := range a.recovery {
		if r.lastTrusted < index && index < r.index {
			if _, ok := r.confirmed[id]; !ok {
				return true
			}
		}
	}
	return false
}

func (a *Authority) checkEnrolment(st *Statement, b *EnrolmentBody, index uint64) *Refusal {
	for _, role := range b.Roles {
		if !knownRole(role, a.body.Roles) {
			return refuse(ReasonUnknownRole, "predicate.body.roles", "neither the list nor the charter has the role %s", role)
		}
	}
	for _, site := range b.Sites {
		if _, ok := a.sites[site]; !ok {
			return refuse(ReasonUnknownSite, "predicate.body.sites", "the charter has no site %s", site)
		}
	}
	if e := a.holders[b.HolderID]; e != nil && e.index < index && (e.body.Name != b.Name || e.body.Holder != b.Holder) {
		return refuse(ReasonHolderMismatch, "predicate.body.holderId", "the holder was enrolled at index %d under another name or type", e.index)
	}
	if bad := a.checkReenrolment(b, index); bad != nil {
		return bad
	}
	return a.proven(st)
}

// checkReenrolment judges a key that has a place in the trial already. It may be
// enrolled again for the same holder: for another site, or a longer period.
func (a *Authority) checkReenrolment(b *EnrolmentBody, index uint64) *Refusal {
	for _, r := range a.revocations[b.Key.ID] {
		if r.index < index {
			return refuse(ReasonKeyRevoked, "predicate.body.key", "the key was revoked at index %d: a revoked key never comes back", r.index)
		}
	}
	list := a.enrolments[b.Key.ID]
	if len(list) == 0 || list[0].index >= index {
		return a.unused(b.Key, "predicate.body.key", index)
	}
	if list[0].body.HolderID != b.HolderID {
		return refuse(ReasonKeyInUse, "predicate.body.key", "the key was enrolled at index %d for another holder", list[0].index)
	}
	return nil
}

// unused judges whether a key is free to get a place in the trial.
func (a *Authority) unused(k *PublicKey, path string, index uint64) *Refusal {
	if k.ID == a.body.RecoveryKey.ID {
		return refuse(ReasonKeyInUse, path, "the key is the charter's recovery key")
	}
	for _, s := range a.sponsors {
		if s.key.ID == k.ID && s.since < index {
			return refuse(ReasonKeyInUse, path, "the key is or was the sponsor's")
		}
	}
	if list := a.enrolments[k.ID]; len(list) > 0 && list[0].index < index {
		return refuse(ReasonKeyInUse, path, "the key was enrolled at index %d", list[0].index)
	}
	return nil
}

func (a *Authority) checkRevocation(b *RevocationBody, index uint64) *Refusal {
	if b.Key == a.body.RecoveryKey.ID || slices.ContainsFunc(a.sponsors, func(s sponsorKey) bool { return s.key.ID == b.Key }) {
		return refuse(ReasonKeyNotRevocable, "predicate.body.key", "the sponsor's key is replaced by a key recovery; the recovery key is the charter's")
	}
	if list := a.enrolments[b.Key]; (len(list) == 0 || list[0].index >= index) && !a.wasEnrolled(b.Key, index) {
		return refuse(ReasonUnknownKey, "predicate.body.key", "no such key was enrolled before")
	}
	return nil
}

// wasEnrolled tells whether an enrolment of the key took effect before index,
// also one that a recovery made void since: what revoked it stays in force.
func (a *Authority) wasEnrolled(key KeyID, index uint64) bool {
	return slices.ContainsFunc(a.log, func(e entry) bool {
		b, ok := e.st.Predicate.Body.(*EnrolmentBody)
		return ok && e.refusal == nil && e.index < index && b.Key.ID == key
	})
}

// proven checks proofs of possession, once for each statement: they do not
// depend on the trial's state.
func (a *Authority) proven(st *Statement) *Refusal {
	if i, ok := a.byID[st.ID]; ok && a.log[i].st == st && a.log[i].refusal == nil {
		return nil
	}
	return st.checkPossession()
}
