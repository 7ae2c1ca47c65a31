package trial

import "slices"

// target is what acts of one kind are about: of two pending ones about the same,
// the later voids the earlier.
type target struct {
	family   Kind
	id       ID // of a lock, or of the statement that is superseded
	label    string
	scope    string
	language string
	site     string
}

// targetOf returns what an act is about; ok is false where nothing but its own
// word tells.
func (s *State) targetOf(st *Statement) (t target, ok bool) {
	p := &st.Predicate
	switch b := p.Body.(type) {
	case *LockBody:
		return target{family: p.Kind, label: b.Label, scope: s.scope(&b.Scope).text()}, true
	case *UnlockBody:
		return target{family: p.Kind, id: b.Lock}, true
	}
	if family := familyOf(p.Kind); family != "" {
		k := documentKey(family, p.Document, p.Site)
		return target{family: family, label: k.id, scope: k.scope, language: k.language, site: k.site}, true
	}
	if p.Kind == KindRandomisationSeal {
		return target{family: p.Kind, label: documentKey(p.Kind, p.Document, "").id}, true
	}
	return target{}, false
}

// await makes an act pending, and void what was pending in its place.
func (s *State) await(act *Act) {
	t, ok := s.targetOf(act.Statement)
	if ok {
		if old := s.targets[t]; old != nil && old.Status == StatusPending {
			s.void(old, VoidReplaced)
		}
		s.targets[t] = act
	}
	p := &act.Statement.Predicate
	if old := s.records[p.Supersedes].act(); old != nil && old != act && old.Status == StatusPending && old.Statement.Predicate.Kind == p.Kind {
		s.void(old, VoidReplaced)
	}
	s.pending = append(s.waiting(), act)
	s.deadlines = append(s.deadlines, s.expect(act, "", ParameterEndorsementDays))
	if len(act.Missing()) == 0 {
		s.complete(act)
	}
}

// complete lets an act take effect that waited for endorsement.
func (s *State) complete(act *Act) {
	act.Status, act.EffectIndex = StatusEffective, s.last
	s.settled++
	s.takeEffect(act)
}

// void makes a pending act void.
func (s *State) void(act *Act, cause VoidCause) {
	act.Status = StatusVoid
	s.settled++
	s.tell(Event{Type: EventVoided, Act: act, Cause: cause})
}

// endorse lets an endorsement count for what it endorses, if that was logged
// before and waits for it.
func (s *State) endorse(e *Act) {
	b, ok := e.Statement.Predicate.Body.(*EndorsementBody)
	if !ok {
		return
	}
	act := s.records[b.Statement].act()
	if act == nil {
		return
	}
	by, ok := s.endorser(e, act.Statement.Predicate.Site)
	switch {
	case !ok:
		return
	case act.wantsSecond():
		if len(act.Endorsed) > 0 || by.HolderID == act.Standing.HolderID {
			return
		}
	case act.Status != StatusPending || !addsRole(act, &by):
		return
	}
	act.Endorsed = append(slices.Clip(act.Endorsed), Endorsement{
		Statement: e.Statement.ID, Index: e.Index, HolderID: by.HolderID, Name: by.Name, Roles: by.Roles, KeyID: by.KeyID,
	})
	if act.Status == StatusPending && len(act.Missing()) == 0 {
		s.complete(act)
	}
}

// endorser returns the standing in which an endorsement was signed of an act about
// a site; ok is false where its key was not enrolled for the site. An endorsement
// may leave the site to its act, and people of one site do not sign for another.
func (s *State) endorser(e *Act, site string) (by Standing, ok bool) {
	if site == "" {
		return e.Standing, true
	}
	return s.elsewhere(e, site)
}

// elsewhere returns the standing in which an act would have been signed if it were
// about a site, "" for the trial; ok is false where its key may not.
func (s *State) elsewhere(act *Act, site string) (by Standing, ok bool) {
	if site == act.Statement.Predicate.Site {
		return act.Standing, true
	}
	st := *act.Statement
	st.Predicate.Site = site
	by, bad := s.authority.enrolled(&st, act.Index, timeOrNil(act.Time))
	return by, bad == nil
}

// MaySpeakFor tells whether the signer of an act, which was signed with authority,
// may sign such an act about a site as well; "" is the whole trial.
func (s *State) MaySpeakFor(act *Act, site string) bool {
	_, ok := s.elsewhere(act, site)
	return ok
}

// wantsSecond tells whether an act that counts at once wants another person's
// signature afterwards.
func (a *Act) wantsSecond() bool {
	b, ok := a.Statement.Predicate.Body.(*UnblindingBody)
	return ok && b.Scope == UnblindParticipant && len(a.Required) == 0
}

// addsRole tells whether a person brings a required role that the same person
// has not brought to the act already.
func addsRole(act *Act, by *Standing) bool {
	return slices.ContainsFunc(act.Required, func(role Role) bool {
		return slices.Contains(by.Roles, role) && !slices.ContainsFunc(act.signatures(), func(e Endorsement) bool {
			return e.HolderID == by.HolderID && slices.Contains(e.Roles, role)
		})
	})
}

// signatures returns who signed an act: its author, where that is a person, and
// those who endorsed it.
func (a *Act) signatures() []Endorsement {
	if a.Standing.Holder != HolderPerson {
		return a.Endorsed
	}
	author := Endorsement{Statement: a.Statement.ID, Index: a.Index, HolderID: a.Standing.HolderID, Roles: a.Standing.Roles, KeyID: a.Standing.KeyID}
	return append([]Endorsement{author}, a.Endorsed...)
}

// Missing returns the required roles that nobody has signed in yet, each person
// counting for one role. Of several ways to count it takes the one that leaves
// the fewest, and among these the last roles of the list.
func (a *Act) Missing() []Role {
	if len(a.Required) == 0 {
		return nil
	}
	able := map[string][]Role{}
	var holders []string
	for _, e := range a.signatures() {
		if _, known := able[e.HolderID]; !known {
			holders = append(holders, e.HolderID)
		}
		able[e.HolderID] = append(slices.Clip(able[e.HolderID]), e.Roles...)
	}
	signs := map[string]int{} // which of Required each person signs for
	var missing []Role
	for i, role := range a.Required {
		if !a.assign(i, holders, able, signs, map[string]bool{}) {
			missing = append(missing, role)
		}
	}
	return missing
}

// assign finds a person for the i-th required role, and another role for whoever
// had to be moved.
func (a *Act) assign(i int, holders []string, able map[string][]Role, signs map[string]int, tried map[string]bool) bool {
	for _, h := range holders {
		if tried[h] || !slices.Contains(able[h], a.Required[i]) {
			continue
		}
		tried[h] = true
		if j, taken := signs[h]; !taken || a.assign(j, holders, able, signs, tried) {
			signs[h] = i
			return true
		}
	}
	return false
}

// distrust judges the pending acts anew after a revocation or a recovery. An act
// is void where compromised says so or its own signature counts no more, and loses
// the endorsements that count no more.
func (s *State) distrust(compromised func(*Act) bool) {
	for _, act := range slices.Clone(s.waiting()) {
		if act.Status != StatusPending {
			continue
		}
		if _, bad := s.authority.judge(act.Statement, act.Index, timeOrNil(act.Time)); bad != nil || compromised(act) {
			s.void(act, VoidKey)
			continue
		}
		act.Endorsed = slices.DeleteFunc(slices.Clone(act.Endorsed), func(e Endorsement) bool {
			return !s.authority.trusts(e.KeyID, e.Index)
		})
	}
}

// trusts tells whether what an enrolled key signed at index, with authority then,
// still counts.
func (a *Authority) trusts(key KeyID, index uint64) bool {
	if a.revoked(key, index) != nil {
		return false
	}
	return slices.ContainsFunc(a.enrolments[key], func(e *enrolment) bool { return e.index < index })
}
