package trial

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// Authority says who may sign what in one trial: a pure fold over the trial's
// authority statements in log order. The charter opens it; enrolments,
// endorsements of enrolments, delegations, revocations, recoveries and
// registrations follow.
//
// Every fact keeps the index at which it began, and a statement is judged by the
// facts with lower indexes. Two kinds of facts reach back: a revocation makes a
// key suspect from an earlier index on, and a recovery makes unconfirmed
// authority statements void. Both are applied as if they had always been known,
// so that the outcome depends on what was folded and on nothing else.
//
// The fold needs all of a trial's authority statements: leaving out an enrolment
// that has no effect on a key may still change who holds what. One goroutine may
// change an Authority while no other uses it; [Authority.Clone] is cheap.
type Authority struct {
	charter *Statement
	body    *CharterBody // of the charter
	index   uint64       // of the charter
	last    uint64       // of what was folded last

	// sites is the charter's, shared by clones.
	sites map[string]struct{}

	log  []entry // what was folded, in log order, without the charter
	byID map[ID]int

	// keys holds every key that ever had authority, void or not, so that old
	// signatures can be verified.
	keys     map[KeyID]*PublicKey
	sponsors []sponsorKey
	recovery []recoveryFact
	claims   []claim

	// Facts that rebuild makes anew. The slices are never changed in place:
	// clones share them.
	enrolments  map[KeyID][]*enrolment
	holders     map[string]*enrolment // the first of each holder
	revocations map[KeyID][]revocation
	delegations []Delegation // in log order
}

// entry is a folded statement.
type entry struct {
	st    *Statement
	index uint64
	at    time.Time
	// refusal is what Apply said: nil where the statement took effect then, so
	// that its proofs of possession were checked.
	refusal *Refusal
}

type sponsorKey struct {
	key   *PublicKey
	since uint64 // the index of the charter or the recovery
}

type recoveryFact struct {
	index       uint64
	lastTrusted uint64
	confirmed   map[ID]struct{}
}

// claim is a registry number of the trial.
type claim struct {
	registry, number string // normalised
	since            uint64
}

// enrolment is immutable.
type enrolment struct {
	id    ID
	index uint64
	body  *EnrolmentBody
	// gated: the key is active at a site once the site's investigator endorsed
	// the enrolment, from the index in active on.
	gated  bool
	active map[string]uint64
}

type revocation struct {
	index   uint64
	suspect uint64 // math.MaxUint64 for none
}

// NewAuthority begins the fold with a charter, at its log index. It checks that
// the charter's sponsor key is its signer and that both keys prove possession;
// the caller has verified the signature.
func NewAuthority(charter *Statement, index uint64) (*Authority, error) {
	p := &charter.Predicate
	body, ok := p.Body.(*CharterBody)
	if !ok || p.Kind != KindCharter {
		return nil, refuse(ReasonKindNotAllowed, "predicate.kind", "got a statement of kind %s, want a charter", p.Kind)
	}
	a := &Authority{
		charter: charter, body: body, index: index, last: index,
		sites: make(map[string]struct{}, len(body.Sites)),
		byID:  map[ID]int{},
		keys: map[KeyID]*PublicKey{
			body.SponsorKey.ID:  body.SponsorKey,
			body.RecoveryKey.ID: body.RecoveryKey,
		},
		sponsors:    []sponsorKey{{body.SponsorKey, index}},
		enrolments:  map[KeyID][]*enrolment{},
		holders:     map[string]*enrolment{},
		revocations: map[KeyID][]revocation{},
	}
	for _, s := range body.Sites {
		a.sites[s.ID] = struct{}{}
	}
	if bad := a.checkOwner(p, RoleSponsor); bad != nil {
		return nil, bad
	}
	if bad := charter.checkPossession(); bad != nil {
		return nil, bad
	}
	a.addClaims(p.Trial, index)
	return a, nil
}

// Clone returns an independent copy.
func (a *Authority) Clone() *Authority {
	c := *a
	c.log = slices.Clip(c.log)
	c.byID = maps.Clone(a.byID)
	c.keys = maps.Clone(a.keys)
	c.sponsors = slices.Clip(a.sponsors)
	c.recovery = slices.Clip(a.recovery)
	c.claims = slices.Clip(a.claims)
	c.delegations = slices.Clip(a.delegations)
	c.enrolments = maps.Clone(a.enrolments)
	c.holders = maps.Clone(a.holders)
	c.revocations = maps.Clone(a.revocations)
	return &c
}

// Charter returns the statement that opened the trial.
func (a *Authority) Charter() *Statement { return a.charter }

// Sites returns the charter's sites. The slice is shared.
func (a *Authority) Sites() []Site { return a.body.Sites }

// SponsorName returns the charter's sponsor organisation.
func (a *Authority) SponsorName() string { return a.body.SponsorOrganisation }

// SponsorKey returns the sponsor's key after everything that was folded.
func (a *Authority) SponsorKey() *PublicKey { return a.sponsors[len(a.sponsors)-1].key }

// KnownUpTo returns the index of what was folded last.
func (a *Authority) KnownUpTo() uint64 { return a.last }

// Key returns a key that has or had authority in the trial, whatever its state.
func (a *Authority) Key(id KeyID) (*PublicKey, bool) {
	k, ok := a.keys[id]
	return k, ok
}

// Registry returns the registry numbers that the charter and registrations
// claim, normalised and sorted. A claim gives no authority, and stays when its
// statement turns out void.
func (a *Authority) Registry() []string {
	var out []string
	for _, c := range a.claims {
		if c.registry != RegistrySponsorProtocol {
			out = append(out, c.number)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (a *Authority) addClaims(trial Registry, index uint64) {
	for name, number := range trial {
		a.claims = append(a.claims, claim{name, NormaliseRegistryNumber(number), index})
	}
}

// AffectsAuthority tells whether a statement belongs into the fold: a charter,
// an enrolment, revocation or recovery, a delegation, a registration (it decides which
// registry numbers later statements may name), or the endorsement of an
// enrolment that a has folded, with or without effect.
func AffectsAuthority(st *Statement, a *Authority) bool {
	return st.Predicate.Kind.Folded() || a.endorsesEnrolment(st)
}

func (a *Authority) endorsesEnrolment(st *Statement) bool {
	b, ok := st.Predicate.Body.(*EndorsementBody)
	if !ok {
		return false
	}
	i, ok := a.byID[b.Statement]
	return ok && a.log[i].st.Predicate.Kind == KindKeyEnrolment
}

// Admit tells whether a statement may be submitted now, at the log time that it
// will have. It is what [Authority.Judge] will say at the next index if nothing
// else is folded before. An error is a *Refusal.
func (a *Authority) Admit(st *Statement, at time.Time) error {
	_, bad := a.judge(st, math.MaxUint64, &at)
	if bad != nil {
		return bad
	}
	return nil
}

// Judge tells in what standing a statement was signed that is logged at index,
// given everything that was folded, also later. at is its log time; nil leaves
// the validity period unchecked. The caller has verified the signature by
// [Authority.Key]. An error is a *Refusal.
func (a *Authority) Judge(st *Statement, index uint64, at *time.Time) (Standing, error) {
	s, bad := a.judge(st, index, at)
	if bad != nil {
		return Standing{}, bad
	}
	return s, nil
}

// Apply folds the next authority statement in log order. at is its log time, or
// zero where that is not known: then its validity period is not checked. The
// caller has verified the signature. A *Refusal says why the statement has no
// effect: it counts as folded all the same. Another error means that nothing was
// folded. Statements of other kinds are judged and change nothing.
func (a *Authority) Apply(st *Statement, index uint64, at time.Time) error {
	if index <= a.last {
		return fmt.Errorf("invalid log order: got index %d after index %d", index, a.last)
	}
	if i, dup := a.byID[st.ID]; dup || st.ID == a.charter.ID {
		first := a.index
		if dup {
			first = a.log[i].index
		}
		a.last = index
		return refuse(ReasonAlreadyLogged, "", "logged at index %d already: a second entry has no effect", first)
	}
	_, bad := a.judge(st, index, timeOrNil(at))
	if !AffectsAuthority(st, a) {
		if bad != nil {
			return bad
		}
		return nil
	}
	a.last = index
	a.byID[st.ID] = len(a.log)
	a.log = append(a.log, entry{st: st, index: index, at: at, refusal: bad})
	if bad != nil {
		return bad
	}
	a.effect(st, index)
	return nil
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// effect changes the state by a statement that was judged good.
func (a *Authority) effect(st *Statement, index uint64) {
	switch b := st.Predicate.Body.(type) {
	case *RegistrationBody:
		a.addClaims(Registry{b.Registry: b.Number}, index)
	case *RecoveryBody:
		confirmed := make(map[ID]struct{}, len(b.Confirmed))
		for _, id := range b.Confirmed {
			confirmed[id] = struct{}{}
		}
		a.keys[b.NewKey.ID] = b.NewKey
		a.sponsors = append(a.sponsors, sponsorKey{b.NewKey, index})
		a.recovery = append(a.recovery, recoveryFact{index, b.LastTrustedIndex, confirmed})
		a.rebuild()
	case *RevocationBody:
		a.revoke(b, index)
		if b.SuspectSince != nil {
			a.rebuild() // endorsements of the key may have lost their effect
		}
	case *EnrolmentBody:
		a.enrol(st.ID, b, index)
	case *DelegationBody:
		a.delegate(st, b, index)
	case *EndorsementBody:
		a.activate(st, b, index)
	}
}

func (a *Authority) enrol(id ID, b *EnrolmentBody, index uint64) {
	e := &enrolment{id: id, index: index, body: b}
	e.gated = b.OrganisationType == OrganisationSite && !slices.Contains(b.Roles, RoleInvestigator)
	a.keys[b.Key.ID] = b.Key
	a.enrolments[b.Key.ID] = append(slices.Clip(a.enrolments[b.Key.ID]), e)
	if a.holders[b.HolderID] == nil {
		a.holders[b.HolderID] = e
	}
}

func (a *Authority) revoke(b *RevocationBody, index uint64) {
	r := revocation{index: index, suspect: math.MaxUint64}
	if b.SuspectSince != nil {
		r.suspect = *b.SuspectSince
	}
	a.revocations[b.Key] = append(slices.Clip(a.revocations[b.Key]), r)
}

// activate lets an endorsement of an enrolment take effect at the sites whose
// investigator made it. Whether the endorser may sign was judged; who the
// endorser is comes from the enrolment, not from what signer says.
func (a *Authority) activate(st *Statement, b *EndorsementBody, index uint64) {
	i, ok := a.byID[b.Statement]
	if !ok {
		return
	}
	target, ok := a.log[i].st.Predicate.Body.(*EnrolmentBody)
	if !ok {
		return
	}
	list := a.enrolments[target.Key.ID]
	n := slices.IndexFunc(list, func(e *enrolment) bool { return e.id == b.Statement })
	if n < 0 || !list[n].gated {
		return
	}
	next := *list[n]
	next.active = maps.Clone(next.active)
	if next.active == nil {
		next.active = map[string]uint64{}
	}
	for _, site := range target.Sites {
		if st.Predicate.Site != "" && st.Predicate.Site != site {
			continue
		}
		if _, done := next.active[site]; !done && a.investigates(&st.Predicate, site, index, timeOrNil(a.log[a.byID[st.ID]].at)) {
			next.active[site] = index
		}
	}
	list = slices.Clone(list)
	list[n] = &next
	a.enrolments[target.Key.ID] = list
}

// investigates tells whether the signer is an investigator of the site by an
// enrolment that holds at index.
func (a *Authority) investigates(p *Predicate, site string, index uint64, at *time.Time) bool {
	for _, e := range a.enrolments[p.Signer.KeyID] {
		if e.index < index && e.body.Holder == HolderPerson &&
			slices.Contains(e.body.Roles, RoleInvestigator) && slices.Contains(e.body.Sites, site) &&
			slices.Contains(e.body.Kinds, KindEndorsement) && e.period(at) == nil {
			return true
		}
	}
	return false
}
