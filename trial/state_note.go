package trial

import "time"

// act returns the act of a record, nil where none remains.
func (r record) act() *Act {
	switch w := r.what.(type) {
	case *Act:
		return w
	case *version:
		return w.act
	case *extract:
		return w.act
	case *lock:
		return w.act
	case *baseline:
		return w.act
	}
	return nil
}

// note folds what counts as soon as an act is logged, and keeps of the act what
// later ones may need.
func (s *State) note(act *Act) {
	p := &act.Statement.Predicate
	var what any
	switch b := p.Body.(type) {
	case *DataBody:
		what = s.noteData(act, b)
	case *LockBody:
		what = s.newLock(act, b)
	case *IPEventBody:
		s.conduct.custody.Apply(act.Statement, act.Index)
	case *UnblindingBody:
		what = s.noteUnblinding(act, b)
	case *BaselineBody:
		what = &baseline{act: act, body: b}
		s.documents.protocolLogged = true
	}
	if family := familyOf(p.Kind); family != "" {
		what = &version{act: act, key: documentKey(family, p.Document, p.Site), label: p.Version}
		s.documents.protocolLogged = s.documents.protocolLogged || p.Kind == KindProtocol
	}
	if what == nil && act.Status == StatusPending {
		what = act
	}
	if what != nil {
		s.records[act.Statement.ID] = record{act.Index, what}
	}
}

// takeEffect folds what an act changes when it takes effect, now.
func (s *State) takeEffect(act *Act) {
	s.tell(Event{Type: EventEffect, Act: act})
	p := &act.Statement.Predicate
	what := s.records[act.Statement.ID].what
	if v, ok := what.(*version); ok {
		s.documents.replace(v)
		return
	}
	switch p.Kind {
	case KindEndorsement:
		s.endorse(act)
	case KindRegistration:
		s.registered(act)
	case KindEthicsDecision:
		s.decide(act)
	case KindVersionEffective:
		s.makeEffective(act)
	case KindRandomisationSeal:
		s.conduct.seals = append(s.conduct.seals, act)
		s.records[act.Statement.ID] = record{act.Index, act}
	case KindRandomisationReveal:
		s.conduct.reveal(act)
	case KindFirstParticipant:
		s.firstParticipant(act)
	case KindLastVisit:
		s.lastVisit(act)
	case KindCloseout:
		s.closeout(act)
	case KindDatabaseLock:
		if l, ok := what.(*lock); ok {
			s.lock(l)
		}
	case KindDatabaseUnlock:
		s.unlock(act)
	case KindBaseline:
		if b, ok := what.(*baseline); ok {
			s.takeOver(b)
		}
	default: // changes nothing that a rule asks for
	}
}

// baseline is the state of a trial that was under way.
type baseline struct {
	act  *Act
	body *BaselineBody
	lock *lock // the last that is not interim; nil for none
}

// takeOver folds a baseline: what it names is the case, under its id.
func (s *State) takeOver(b *baseline) {
	s.documents.takeOver(b)
	for _, p := range b.body.Participants {
		at := s.conduct.site(p.Site)
		if at.first == nil {
			at.first = b.act
		}
	}
	if len(b.body.Participants) > 0 && s.conduct.first == nil {
		s.conduct.first = b.act
	}
	if len(b.body.Sealed) > 0 {
		s.conduct.seals = append(s.conduct.seals, b.act)
	}
	if b.body.Unblinded && s.conduct.unblinded == nil {
		s.conduct.unblinded = b.act
	}
	if b.body.Registered {
		s.register()
	}
	s.lockBaseline(b)
}

// daysBegun returns the number of days begun between two log times, -1 where one of
// them is not known.
func daysBegun(from, to time.Time) int64 {
	if from.IsZero() || to.IsZero() || to.Before(from) {
		return -1
	}
	return int64((to.Sub(from) + day - 1) / day)
}
