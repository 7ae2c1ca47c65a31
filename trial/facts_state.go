package trial

import (
	"slices"
	"time"
)

// Facts returns what the rules may ask about an event. It is to be called from the
// judge that the event was handed to: the facts are those just before it.
func (s *State) Facts(e *Event) *Facts {
	f := &Facts{RegisteredDaysAfter: -1, GapDays: -1}
	act := e.Act
	s.always(f, act)
	p := &act.Statement.Predicate
	if familyOf(p.Kind) != "" {
		s.documentFacts(f, act)
	}
	switch b := p.Body.(type) {
	case *RegistrationBody:
		if s.conduct.first != nil {
			f.RegisteredDaysAfter = daysBegun(s.conduct.first.Time, act.Time)
		}
	case *VersionEffectiveBody:
		f.Exempt = b.Exempt != ""
		f.Decisions = s.decisions(act.Statement, b)
	case *ConsentManifestBody:
		f.ICFEffective = s.consentEffective(p.Site, b.ICF)
	case *RevealBody:
		f.CommitmentMatches = s.commitmentMatches(act.Statement, b)
	case *UnblindingBody:
		f.UnblindingExempt = s.exempt(b)
		f.EmergencySecondMissing = b.Scope == UnblindParticipant && !slices.ContainsFunc(act.Endorsed, func(x Endorsement) bool {
			return x.HolderID != act.Standing.HolderID
		})
	case *UnlockBody:
		l := s.lockNamed(b.Lock)
		f.LockInEffect = l != nil && l.holds
	case *DataBody:
		s.dataFacts(f, act, b)
	case *LockBody:
		s.lockFacts(f, e)
	}
	switch {
	case p.Kind == KindFirstParticipant:
		var icf ID
		if b, ok := p.Body.(*FirstParticipantBody); ok {
			icf = b.ICF
		}
		f.ICFEffective = s.consentEffective(p.Site, icf)
	case e.Type == EventLastVisit || e.Type == EventCloseout && p.Kind == KindCloseout && act.Status == StatusEffective:
		f.SeriesOverdue = names(s.late(p.Site, e.Time))
	}
	s.pendingFacts(f, e)
	return f
}

// always fills in what costs nothing.
func (s *State) always(f *Facts, act *Act) {
	f.ProtocolLogged = s.documents.protocolLogged
	f.Registered = s.conduct.registered
	f.FirstOfTrial = s.conduct.first == nil
	f.SAPInEffect = s.documents.plans > 0
	f.Sealed = len(s.conduct.seals) > 0
	f.LockInEffect = len(s.locks.holding) > 0
	f.UnlockOpen = s.unlockOpen()
	f.Unblinded = s.conduct.unblinded != nil
	f.Supersedes = !act.Statement.Predicate.Supersedes.IsZero()
	if d := act.Statement.Predicate.Declared; d != nil && !act.Time.IsZero() {
		f.AheadSeconds = max(0, int64((d.UTC.Sub(act.Time)+time.Second-1)/time.Second))
		f.BehindDays = max(0, daysBegun(d.UTC, act.Time))
	}
}

func names(list []*series) []string {
	out := make([]string, len(list))
	for i, r := range list {
		out[i] = r.String()
	}
	return out
}

// documentFacts fills in how a version relates to those before it.
func (s *State) documentFacts(f *Facts, act *Act) {
	p := &act.Statement.Predicate
	key := documentKey(familyOf(p.Kind), p.Document, p.Site)
	if h, ok := s.documents.heads[key]; ok {
		f.HasHead, f.Head = true, h.id
		f.SupersedesHead = f.Supersedes && h.id == p.Supersedes
	}
	switch old := s.records[p.Supersedes].what.(type) {
	case *version:
		f.SupersedesAncestor = old.act != act && old.act.Status == StatusEffective && old.key.sameChain(key)
		f.Branch = f.SupersedesAncestor && key.branchOf(old.key)
	case *baseline:
		f.SupersedesBaseline = slices.ContainsFunc(old.body.Documents, func(d BaselineDocument) bool {
			k := documentKey(familyOf(d.Kind), d.Document, "")
			f.Branch = f.Branch || key.branchOf(k)
			return k.sameChain(key)
		})
		f.SupersedesAncestor = f.SupersedesBaseline
	}
}

// decisions tells for each version whether it was approved before it is used.
func (s *State) decisions(st *Statement, b *VersionEffectiveBody) []DecisionFact {
	date := effectiveDate(st, b)
	out := make([]DecisionFact, len(b.Statements))
	for i, id := range b.Statements {
		d := DecisionFact{Version: id, EffectiveDate: date}
		_, d.Known = s.records[id].what.(*version)
		if a, ok := s.approval(st.Predicate.Site, id, date); ok {
			d.Found, d.Date = true, a.date
			d.DatedInTime = a.date <= date
			d.LoggedInTime = d.DatedInTime && !a.at.After(endOfDate(date))
		}
		out[i] = d
	}
	return out
}

// endOfDate returns when a date has ended everywhere: last at UTC-12.
func endOfDate(date string) time.Time {
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return time.Time{}
	}
	return t.AddDate(0, 0, 1).Add(12 * time.Hour)
}

// dataFacts fills in where data stand to locks, and to the extract before them.
func (s *State) dataFacts(f *Facts, act *Act, b *DataBody) {
	p := &act.Statement.Predicate
	f.Locked, f.InsideUnlock = s.covering(p.Site, b.Dataset)
	for _, l := range s.reached(p.Lineage) {
		f.LineageToLock = f.LineageToLock || l.holds
		f.LineageSupersededLock = f.LineageSupersededLock || l.by != nil
	}
	f.Migration = b.Migration
	f.FirstMigration = b.Migration && !s.data.migrated && s.tooFarBehind(act)
	if r := s.data.series[keyOf(act.Statement, b)]; r != nil && isSource(p.Kind, b) && !b.Migration && !s.ended(p.Site) {
		f.GapDays = daysBegun(r.since, act.Time)
	}
}

// tooFarBehind tells whether data were declared for too long before their log
// time.
func (s *State) tooFarBehind(act *Act) bool {
	d := act.Statement.Predicate.Declared
	return d != nil && daysBegun(d.UTC, act.Time) > s.parameters[ParameterBackdatingDataDays]
}

// lockFacts fills in what a lock locks. Only its taking effect is judged so.
func (s *State) lockFacts(f *Facts, e *Event) {
	if e.Type != EventEffect {
		return
	}
	l, ok := s.records[e.Act.Statement.ID].what.(*lock)
	if !ok {
		return
	}
	for _, id := range l.members {
		r, folded := s.records[id]
		switch x, isData := r.what.(*extract); {
		case !folded && s.partial: // or withheld
		case !isData:
			f.MembersMissing = append(f.MembersMissing, id.String())
		case !x.current():
			f.MembersStale = append(f.MembersStale, id.String())
		}
	}
	if l.kind == LockInterim {
		return
	}
	if f.SecondLock = s.relocks(l); f.SecondLock {
		f.MembersOutside = s.outside(l)
	}
}

// pendingFacts fills in what an act lacks that waits for endorsement.
func (s *State) pendingFacts(f *Facts, e *Event) {
	act := e.Act
	switch e.Type {
	case EventVoided:
		f.PendingTooLong = e.Cause == VoidReplaced
	case EventOverdue:
		f.PendingTooLong = true
	case EventCloseout:
		f.PendingTooLong = act.Status == StatusVoid
	case EventEffect, EventNoEffect:
		return
	case EventLogged, EventDeadline, EventLastVisit:
	}
	if len(act.Required) == 0 {
		return
	}
	for _, role := range act.Missing() {
		f.MissingRoles = append(f.MissingRoles, string(role))
	}
}
