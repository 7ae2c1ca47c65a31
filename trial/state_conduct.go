package trial

import "slices"

// conduct is the part of the state about sites, participants and blinding.
type conduct struct {
	registered bool
	first      *Act // participant of the trial
	ended      *Act // the last visit of the trial, or its closeout

	sites map[string]*siteState
	order []string // of sites: the charter's

	seals       []*Act // and baselines that name sealed lists
	revealed    []reveal
	unblinded   *Act // of the trial
	unblindings []*Act
	exempt      []string

	closed  *Act
	custody *Custody
}

// siteState is what is the case at one site.
type siteState struct {
	activated, first, lastVisit, closed *Act
}

type reveal struct {
	act  *Act
	seal ID
}

// identifiers of the charter that are no number of a public registry: the
// sponsor's own, and that which only ties registrations together.
var notRegistries = []string{RegistrySponsorProtocol, RegistryUTN}

func (c *conduct) begin(charter *CharterBody, numbers Registry) {
	c.sites = make(map[string]*siteState, len(charter.Sites))
	for i := range charter.Sites {
		c.order = append(c.order, charter.Sites[i].ID)
	}
	c.exempt = charter.UnblindingExempt
	c.custody = NewCustody(charter.Sites)
	for name := range numbers {
		c.registered = c.registered || !slices.Contains(notRegistries, name)
	}
}

// site returns what is the case at a site.
func (c *conduct) site(id string) *siteState {
	at := c.sites[id]
	if at == nil {
		at = new(siteState)
		c.sites[id] = at
	}
	return at
}

// registered folds a registration. A number that only ties registrations together
// is of no public registry.
func (s *State) registered(act *Act) {
	if b, ok := act.Statement.Predicate.Body.(*RegistrationBody); ok && !slices.Contains(notRegistries, b.Registry) {
		s.register()
	}
}

// register notes that the trial has a number in a public registry.
func (s *State) register() {
	s.conduct.registered = true
	s.registration = nil
}

func (s *State) firstParticipant(act *Act) {
	c := &s.conduct
	at := c.site(act.Statement.Predicate.Site)
	if at.first == nil {
		at.first = act
	}
	if c.first != nil {
		return
	}
	c.first = act
	if !c.registered && s.parameters[ParameterRegistrationDays] > 0 {
		d := s.expect(act, DeadlineRegistration, ParameterRegistrationDays)
		s.registration = &d
	}
}

func (s *State) lastVisit(act *Act) {
	s.tell(Event{Type: EventLastVisit, Act: act})
	site := act.Statement.Predicate.Site
	if site == "" {
		s.conduct.end(act)
		return
	}
	s.conduct.site(site).lastVisit = act
}

// end ends the trial, if nothing did before.
func (c *conduct) end(act *Act) {
	if c.ended == nil {
		c.ended = act
	}
}

// closeout closes a site or the trial. What is pending there takes effect no more.
func (s *State) closeout(act *Act) {
	s.tell(Event{Type: EventCloseout, Act: act})
	site := act.Statement.Predicate.Site
	for _, p := range slices.Clone(s.waiting()) {
		if p.Status != StatusPending || site != "" && p.Statement.Predicate.Site != site {
			continue
		}
		p.Status = StatusVoid
		s.settled++
		s.tell(Event{Type: EventCloseout, Act: p})
	}
	if site == "" {
		s.conduct.end(act)
		s.conduct.closed = act
		return
	}
	s.conduct.site(site).closed = act
}

// noteUnblinding folds an unblinding, which counts at once. It returns what is to
// be kept of it.
func (s *State) noteUnblinding(act *Act, b *UnblindingBody) any {
	s.conduct.unblindings = append(s.conduct.unblindings, act)
	if s.exempt(b) {
		return nil
	}
	if b.Scope == UnblindTrial {
		if s.conduct.unblinded == nil {
			s.conduct.unblinded = act
		}
		return nil
	}
	if len(act.Required) == 0 {
		s.deadlines = append(s.deadlines, s.expect(act, DeadlineSecondSignature, ParameterEndorsementDays))
	}
	return act
}

// exempt tells whether an unblinding is for one whom the charter names.
func (s *State) exempt(b *UnblindingBody) bool {
	return b.Recipient != "" && slices.Contains(s.conduct.exempt, b.Recipient)
}

// reveal keeps which seal was opened.
func (c *conduct) reveal(act *Act) {
	if b, ok := act.Statement.Predicate.Body.(*RevealBody); ok {
		c.revealed = append(c.revealed, reveal{act, b.Seal})
	}
}

// commitmentMatches tells whether a reveal is of what its seal committed to, which
// must be in effect.
func (s *State) commitmentMatches(st *Statement, b *RevealBody) bool {
	got, ok := commitmentOf(st)
	if !ok {
		return false
	}
	switch w := s.records[b.Seal].what.(type) {
	case *Act:
		sealed, ok := commitmentOf(w.Statement)
		return ok && w.Statement.Predicate.Kind == KindRandomisationSeal && w.Status == StatusEffective && sealed == got
	case *baseline:
		return w.act.Status == StatusEffective && slices.Contains(w.body.Sealed, got)
	}
	return false
}

// commitmentOf returns the commitment among a statement's subjects.
func commitmentOf(st *Statement) (Commitment, bool) {
	for i := range st.Subjects {
		if sum, ok := st.Subjects[i].Digests.Get(DigestCommitment); ok {
			return sum, true
		}
	}
	return Commitment{}, false
}
