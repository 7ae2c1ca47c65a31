package trial

// rebuild makes the facts anew from what was folded, after a fact that reaches
// back. Enrolments, delegations and revocations come first: the sponsor's depend
// on recoveries alone. A delegate's enrolments depend on its own key, which a
// later revocation may make suspect: where there are delegations, they are judged
// again once every revocation is known. Endorsements then see every suspect key.
func (a *Authority) rebuild() {
	a.revocations = map[KeyID][]revocation{}
	a.rebuildKeys(true)
	if len(a.delegations) > 0 {
		a.rebuildKeys(false)
	}
	for _, e := range a.log {
		if b, ok := e.st.Predicate.Body.(*EndorsementBody); ok {
			if _, bad := a.judge(e.st, e.index, timeOrNil(e.at)); bad == nil {
				a.activate(e.st, b, e.index)
			}
		}
	}
}

// rebuildKeys makes enrolments and delegations anew, and revocations too where
// they are not known yet.
func (a *Authority) rebuildKeys(revocations bool) {
	a.enrolments = map[KeyID][]*enrolment{}
	a.holders = map[string]*enrolment{}
	a.delegations = nil
	for _, e := range a.log {
		switch b := e.st.Predicate.Body.(type) {
		case *EnrolmentBody:
			if _, bad := a.judge(e.st, e.index, timeOrNil(e.at)); bad == nil {
				a.enrol(e.st.ID, b, e.index)
			}
		case *DelegationBody:
			if _, bad := a.judge(e.st, e.index, timeOrNil(e.at)); bad == nil {
				a.delegate(e.st, b, e.index)
			}
		case *RevocationBody:
			if !revocations {
				continue
			}
			if _, bad := a.judge(e.st, e.index, timeOrNil(e.at)); bad == nil {
				a.revoke(b, e.index)
			}
		}
	}
}
