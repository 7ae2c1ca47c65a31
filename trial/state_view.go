package trial

import (
	"iter"
	"math"
	"slices"
	"time"
)

// Moment is a statement at its place in the log, or at that where it took effect.
type Moment struct {
	Statement ID
	Index     uint64
	Time      time.Time // log time of the statement itself
}

// logged returns where an act stands in the log, nil for none.
func (a *Act) logged() *Moment {
	if a == nil {
		return nil
	}
	return &Moment{a.Statement.ID, a.Index, a.Time}
}

// Overview is what is the case in the trial as a whole. What has not happened is
// nil.
type Overview struct {
	// Registered: the trial has a number in a public registry, or had before its
	// baseline.
	Registered bool
	// ProtocolLogged: a protocol or a baseline is logged.
	ProtocolLogged bool
	// FirstParticipant is the trial's first participant, or the baseline that says
	// that there were some.
	FirstParticipant *Moment
	// Ended is the last visit of all participants or the closeout, whichever came
	// first: from then on no more extracts are due.
	Ended  *Moment
	Closed *Moment
	// Unblinded is the first unblinding of the whole trial.
	Unblinded *Moment
	// Locked: a lock is in effect. UnlockOpen: and a part of it is open.
	Locked, UnlockOpen bool
}

// Overview returns what is the case in the trial as a whole.
func (s *State) Overview() Overview {
	c := &s.conduct
	return Overview{
		Registered: c.registered, ProtocolLogged: s.documents.protocolLogged,
		FirstParticipant: c.first.logged(), Ended: c.ended.logged(), Closed: c.closed.logged(), Unblinded: c.unblinded.logged(),
		Locked: len(s.locks.holding) > 0, UnlockOpen: s.unlockOpen(),
	}
}

// SiteState is what is the case at a site. What has not happened is nil.
type SiteState struct {
	Site      Site
	Activated *Moment
	// FirstParticipant is the site's first participant, or the baseline that says
	// that there were some.
	FirstParticipant *Moment
	LastVisit        *Moment
	Closed           *Moment
	// Effective holds the document versions that are effective at the site alone
	// or, by a baseline, at all sites, in the order in which they first became so.
	Effective []EffectiveVersion
}

// EffectiveVersion is a document's version that is used at a site.
type EffectiveVersion struct {
	Family    Kind // protocol for its amendments too, or icf
	Document  string
	Language  string
	Version   string
	Statement ID     // that was made effective, or the baseline that names it
	Date      string // from which it is effective
	By        Moment // what made it effective
}

// Sites returns the charter's sites, in its order.
func (s *State) Sites() []SiteState { return slices.Collect(s.EachSite()) }

// EachSite yields the charter's sites, in its order. What a baseline makes effective
// at all sites is in each of them, so that all together may be much larger than what
// the trial's statements say.
func (s *State) EachSite() iter.Seq[SiteState] {
	return func(yield func(SiteState) bool) {
		effective := s.effectiveVersions()
		for _, site := range s.charter.Sites {
			if !yield(s.siteState(site, effective)) {
				return
			}
		}
	}
}

// effectiveVersions returns the versions that are in use, by site.
func (s *State) effectiveVersions() map[string][]EffectiveVersion {
	effective := map[string][]EffectiveVersion{}
	for _, k := range s.documents.uses {
		v := s.documents.effective[k]
		effective[k.site] = append(effective[k.site], EffectiveVersion{
			Family: k.family, Document: k.id, Language: k.language, Version: v.label, Statement: v.id, Date: v.date, By: *v.act.logged(),
		})
	}
	return effective
}

func (s *State) siteState(site Site, effective map[string][]EffectiveVersion) SiteState {
	view := SiteState{Site: site, Effective: effective[site.ID]}
	for _, v := range effective[""] {
		if _, own := s.documents.effective[siteDocument{site.ID, v.Document, v.Language, v.Family}]; !own {
			view.Effective = append(view.Effective, v)
		}
	}
	if at := s.conduct.sites[site.ID]; at != nil {
		view.Activated, view.FirstParticipant = at.activated.logged(), at.first.logged()
		view.LastVisit, view.Closed = at.lastVisit.logged(), at.closed.logged()
	}
	return view
}

// Head is the version of a document that is in effect.
type Head struct {
	Family    Kind // protocol for its amendments too, icf or sap
	Document  Document
	Version   string
	Statement ID     // or the baseline that names it
	Since     uint64 // the index where it took effect
	Site      string // whose own the document is; "" for none
}

// Heads returns the version in effect of each document, scope, site and language,
// in the order in which they first came.
func (s *State) Heads() []Head {
	out := make([]Head, 0, len(s.documents.order))
	for _, k := range s.documents.order {
		h := s.documents.heads[k]
		out = append(out, Head{k.family, Document{ID: k.id, Language: k.language, Scope: k.scope}, h.label, h.id, h.since, k.site})
	}
	return out
}

// PendingAct is an act that waits for endorsement.
type PendingAct struct {
	Kind     Kind
	Site     string
	Logged   Moment
	Required []Role
	Endorsed []Endorsement
	Missing  []Role
	// Overdue: a time mark showed that it has waited for longer than the
	// parameter endorsementDays.
	Overdue bool
}

// Pending returns the acts that wait for endorsement, in log order.
func (s *State) Pending() []PendingAct {
	var out []PendingAct
	for _, a := range s.pending {
		if a.Status == StatusPending {
			p := &a.Statement.Predicate
			out = append(out, PendingAct{
				p.Kind, p.Site, *a.logged(), slices.Clone(a.Required), slices.Clone(a.Endorsed), a.Missing(), a.Overdue,
			})
		}
	}
	return out
}

// LockState is a database lock.
type LockState struct {
	Label string
	Type  LockType
	// Scope is what it locks; a list of all sites is absent.
	Scope  DataScope
	Logged Moment // of the lock, or of the baseline that names it
	Status Status
	// EffectIndex is where it took effect, while Status is effective.
	EffectIndex uint64
	// InEffect: it locks data now. An interim lock never does.
	InEffect bool
	// ReplacedBy is the lock that locked all of its data again; zero for none.
	ReplacedBy ID
	Members    []ID
}

// Locks returns the locks that were logged, in log order.
func (s *State) Locks() []LockState {
	out := make([]LockState, 0, len(s.locks.all))
	for _, l := range s.locks.all {
		v := LockState{
			Label: l.label, Type: l.kind, Scope: l.scope.view(), Logged: *l.act.logged(), Status: l.act.Status,
			EffectIndex: l.act.EffectIndex, InEffect: l.holds, Members: slices.Clone(l.members),
		}
		if l.by != nil {
			v.ReplacedBy = l.by.act.Statement.ID
		}
		out = append(out, v)
	}
	return out
}

func (c scope) view() DataScope {
	var out DataScope
	if c.sites != nil {
		out.Sites = sorted(c.sites)
	}
	if c.datasets != nil {
		out.Datasets = sorted(c.datasets)
	}
	return out
}

// UnlockState is an unlock that took effect.
type UnlockState struct {
	Logged      Moment
	EffectIndex uint64
	Reason      string
	Scope       DataScope
	// Lock is the statement that it names, and Opened tells whether that was a
	// lock in effect.
	Lock   ID
	Opened bool
	// ClosedBy is the lock that locked the data again; zero while it is open.
	ClosedBy ID
}

// Unlocks returns the unlocks that took effect, in that order.
func (s *State) Unlocks() []UnlockState {
	out := make([]UnlockState, 0, len(s.locks.unlocks))
	for _, u := range s.locks.unlocks {
		v := UnlockState{
			Logged: *u.act.logged(), EffectIndex: u.act.EffectIndex, Reason: u.act.Statement.Predicate.Reason,
			Scope: u.scope.view(), Opened: u.lock != nil,
		}
		if b, ok := u.act.Statement.Predicate.Body.(*UnlockBody); ok {
			v.Lock = b.Lock
		}
		if u.closed != nil {
			v.ClosedBy = u.closed.act.Statement.ID
		}
		out = append(out, v)
	}
	return out
}

// SeriesState is what came of one dataset of one source at one site.
type SeriesState struct {
	Site, Source, Dataset string
	Extracts              uint64
	First, Last           time.Time // log times
	LastIndex             uint64
	// OverdueSince is when the next extract was late; zero while it is not, and
	// after the last visit or closeout.
	OverdueSince time.Time
}

// Series returns all series of source data, in the order in which they began, as
// they are at a log time.
func (s *State) Series(at time.Time) []SeriesState {
	var out []SeriesState
	for _, r := range s.data.order {
		if r.count > 0 {
			out = append(out, s.seriesView(r, at))
		}
	}
	return out
}

// Overdue returns the series whose next extract is late at a log time, by site,
// dataset and source.
func (s *State) Overdue(at time.Time) []SeriesState {
	var out []SeriesState
	for _, r := range s.late("", at) {
		out = append(out, s.seriesView(r, at))
	}
	return out
}

func (s *State) seriesView(r *series, at time.Time) SeriesState {
	v := SeriesState{r.site, r.source, r.dataset, r.count, r.first, r.last, r.lastIndex, time.Time{}}
	if due := r.since.Add(s.gapLimit()); !r.since.IsZero() && at.After(due) && !s.ended(r.site) {
		v.OverdueSince = due
	}
	return v
}

// SealState is a sealed randomisation list.
type SealState struct {
	Logged      Moment // of the seal, or of the baseline that names it
	EffectIndex uint64
	// Reveals are the statements that say to open it, whether they match or not.
	Reveals []Moment
}

// Seals returns the sealed randomisation lists, in the order in which they took
// effect.
func (s *State) Seals() []SealState {
	reveals := map[ID][]Moment{}
	for _, r := range s.conduct.revealed {
		reveals[r.seal] = append(reveals[r.seal], *r.act.logged())
	}
	var out []SealState
	for _, a := range s.conduct.seals {
		out = append(out, SealState{*a.logged(), a.EffectIndex, reveals[a.Statement.ID]})
	}
	return out
}

// UnblindingState is an unblinding.
type UnblindingState struct {
	Logged    Moment
	Site      string
	Scope     UnblindingScope
	Emergency bool
	// Exempt: it is for one whom the charter names.
	Exempt bool
	// Second is the other person's signature, for that of a participant; nil for
	// none yet.
	Second *Endorsement
}

// Unblindings returns the unblindings, in log order.
func (s *State) Unblindings() []UnblindingState {
	var out []UnblindingState
	for _, a := range s.conduct.unblindings {
		b, ok := a.Statement.Predicate.Body.(*UnblindingBody)
		if !ok {
			continue
		}
		v := UnblindingState{Logged: *a.logged(), Site: a.Statement.Predicate.Site, Scope: b.Scope, Emergency: b.Emergency, Exempt: s.exempt(b)}
		if len(a.Endorsed) > 0 {
			second := a.Endorsed[0]
			v.Second = &second
		}
		out = append(out, v)
	}
	return out
}

// CustodyGaps returns where the chain of custody of a product lacks a link, in log
// order.
func (s *State) CustodyGaps() []CustodyGap { return s.conduct.custody.Gaps() }

// EnrolmentState is an enrolment that is in force.
type EnrolmentState struct {
	Logged Moment
	// Body is shared and must not be changed.
	Body *EnrolmentBody
	// ActiveAt holds the sites whose investigator endorsed it, for a key that
	// needs that: elsewhere it waits.
	ActiveAt []string
	Waits    bool // at one site at least
}

// Enrolments returns the enrolments in force at a log time, in log order: those
// that nothing made void, of keys that are not revoked, within their period.
func (s *State) Enrolments(at time.Time) []EnrolmentState {
	a := s.authority
	var out []EnrolmentState
	for i := range a.log {
		l := &a.log[i]
		b, ok := l.st.Predicate.Body.(*EnrolmentBody)
		if !ok || l.refusal != nil || a.revoked(b.Key.ID, math.MaxUint64-1) != nil {
			continue
		}
		for _, e := range a.enrolments[b.Key.ID] {
			if e.id != l.st.ID || e.period(timeOrNil(at)) != nil {
				continue
			}
			v := EnrolmentState{Logged: Moment{l.st.ID, l.index, l.at}, Body: b}
			for _, site := range b.Sites {
				if _, active := e.active[site]; active {
					v.ActiveAt = append(v.ActiveAt, site)
				}
			}
			v.Waits = e.gated && len(v.ActiveAt) < len(b.Sites)
			out = append(out, v)
		}
	}
	return out
}
