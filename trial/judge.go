package trial

import (
	"math"
	"slices"
	"time"
)

// Standing is what a key's holder is in the trial when a statement is judged.
// It comes from the enrolment, not from what the statement says of its signer.
type Standing struct {
	KeyID            KeyID
	HolderID         string     // empty for the sponsor's and the recovery key
	Holder           HolderType // empty for the sponsor's and the recovery key
	Name             string
	Organisation     string
	OrganisationType OrganisationType
	Roles            []Role // shared
	// Enrolment is the statement that enrolled the key; zero for the sponsor's
	// and the recovery key.
	Enrolment ID
	// Since is the index since which the key may sign this.
	Since uint64
}

// judge is Admit, Judge and Apply in one: the standing of a statement at index,
// by facts with lower indexes and by those that reach back.
func (a *Authority) judge(st *Statement, index uint64, at *time.Time) (Standing, *Refusal) {
	if st.ID == a.charter.ID {
		return a.owner(RoleSponsor, a.body.SponsorKey.ID, a.index), nil
	}
	if bad := a.checkTrial(st, index); bad != nil {
		return Standing{}, bad
	}
	s, bad := a.signer(st, index, at)
	if bad != nil {
		return Standing{}, bad
	}
	if bad := a.checkAct(st, index); bad != nil {
		return Standing{}, bad
	}
	return s, nil
}

// checkTrial judges whether the statement belongs to the trial.
func (a *Authority) checkTrial(st *Statement, index uint64) *Refusal {
	p := &st.Predicate
	switch {
	case !p.Kind.Known():
		return refuse(ReasonUnknownKind, "predicate.kind", "this version does not understand the kind")
	case p.Kind == KindTimeMark:
		return refuse(ReasonKindNotAllowed, "predicate.kind", "time marks are the notary's and belong to no trial")
	case p.Kind == KindCharter:
		return refuse(ReasonOtherTrial, "predicate.kind", "a charter opens a trial of its own")
	case p.Charter != a.charter.ID:
		return refuse(ReasonOtherTrial, "predicate.charter", "the statement is of another trial")
	}
	for name, number := range p.Trial {
		own := false
		if b, ok := p.Body.(*RegistrationBody); ok {
			own = name == b.Registry
		}
		if !own && !a.claimed(name, number, index) {
			return refuse(ReasonRegistryMismatch, "predicate.trial."+name, "neither the charter nor a registration before it has this number")
		}
	}
	if _, ok := a.sites[p.Site]; p.Site != "" && !ok {
		return refuse(ReasonUnknownSite, "predicate.site", "the charter has no such site")
	}
	return nil
}

func (a *Authority) claimed(registry, number string, index uint64) bool {
	number = NormaliseRegistryNumber(number)
	return slices.ContainsFunc(a.claims, func(c claim) bool {
		return c.registry == registry && c.number == number && c.since < index
	})
}

// signer judges whether the key may sign this at index.
func (a *Authority) signer(st *Statement, index uint64, at *time.Time) (Standing, *Refusal) {
	p := &st.Predicate
	id := p.Signer.KeyID
	if id == a.body.RecoveryKey.ID {
		if p.Kind != KindKeyRecovery {
			return Standing{}, notAllowed("the recovery key signs key recoveries only")
		}
		return a.owner(RoleRecovery, id, a.index), a.checkOwner(p, RoleRecovery)
	}
	if p.Kind == KindKeyRecovery {
		return Standing{}, notAllowed("only the charter's recovery key signs a key recovery")
	}
	for i := range a.sponsors {
		if a.sponsors[i].key.ID == id {
			return a.sponsor(st, i, index)
		}
	}
	if b, ok := p.Body.(*EnrolmentBody); ok {
		return a.delegated(st, b, index, at)
	}
	if p.Kind.Authority() {
		return Standing{}, notAllowed("only the sponsor's key delegates and revokes keys")
	}
	return a.enrolled(st, index, at)
}

func notAllowed(detail string) *Refusal {
	return refuse(ReasonKindNotAllowed, "predicate.kind", "%s", detail)
}

// owner is the standing of a key that is not enrolled.
func (a *Authority) owner(role Role, key KeyID, since uint64) Standing {
	return Standing{
		KeyID: key, Name: a.body.SponsorOrganisation, Organisation: a.body.SponsorOrganisation,
		OrganisationType: OrganisationSponsor, Roles: []Role{role}, Since: since,
	}
}

// checkOwner judges what the sponsor says of itself.
func (a *Authority) checkOwner(p *Predicate, role Role) *Refusal {
	switch {
	case p.Signer.Role != role:
		return refuse(ReasonRoleNotAllowed, "predicate.signer.role", "the key's role is %s", role)
	case p.Signer.Organisation != a.body.SponsorOrganisation:
		return refuse(ReasonSignerMismatch, "predicate.signer.organisation", "not the charter's sponsor organisation")
	}
	return nil
}

// sponsorKinds are what the sponsor's key signs beside the charter.
var sponsorKinds = []Kind{KindKeyEnrolment, KindKeyRevocation, KindDelegation, KindRegistration}

// sponsor judges a signature of the i-th sponsor key.
func (a *Authority) sponsor(st *Statement, i int, index uint64) (Standing, *Refusal) {
	p := &st.Predicate
	key := a.sponsors[i]
	switch {
	case !slices.Contains(sponsorKinds, p.Kind):
		return Standing{}, notAllowed("the sponsor's key signs charter, enrolments, revocations, delegations and registrations only: enrol a key")
	case key.since >= index:
		return Standing{}, refuse(ReasonUnknownKey, "predicate.signer.keyId", "the sponsor's key only since index %d", key.since)
	case i+1 < len(a.sponsors) && a.sponsors[i+1].since < index:
		return Standing{}, refuse(ReasonKeyRevoked, "predicate.signer.keyId", "the sponsor's key was replaced at index %d", a.sponsors[i+1].since)
	}
	if bad := a.checkOwner(p, RoleSponsor); bad != nil {
		return Standing{}, bad
	}
	return a.owner(RoleSponsor, key.key.ID, key.since), nil
}

// enrolled judges a signature of an enrolled key.
func (a *Authority) enrolled(st *Statement, index uint64, at *time.Time) (Standing, *Refusal) {
	id := st.Predicate.Signer.KeyID
	var found *enrolment
	var best *Refusal // of several enrolments, the one that came closest tells why not
	rank := -1
	for _, e := range a.enrolments[id] {
		if e.index >= index {
			continue
		}
		bad, n := e.permits(&st.Predicate, index, at)
		if bad == nil {
			found = e
			break
		}
		if n > rank {
			best, rank = bad, n
		}
	}
	if found == nil && best == nil {
		return Standing{}, a.unknownKey(id)
	}
	// Revocation first: it holds whatever the enrolments say.
	if bad := a.revoked(id, index); bad != nil {
		return Standing{}, bad
	}
	if found == nil {
		return Standing{}, best
	}
	b := found.body
	return Standing{
		KeyID: id, HolderID: b.HolderID, Holder: b.Holder, Name: b.Name, Organisation: b.Organisation,
		OrganisationType: b.OrganisationType, Roles: b.Roles, Enrolment: found.id,
		Since: found.since(st.Predicate.Site, index),
	}, nil
}

// unknownKey tells why no enrolment of a key counts.
func (a *Authority) unknownKey(id KeyID) *Refusal {
	const path = "predicate.signer.keyId"
	switch list := a.enrolments[id]; {
	case len(list) > 0:
		return refuse(ReasonUnknownKey, path, "the key was enrolled later, at index %d", list[0].index)
	case a.keys[id] != nil:
		return refuse(ReasonVoidByRecovery, path, "the key's enrolment is void: the sponsor's key was recovered, or who enrolled it was no delegate")
	}
	return refuse(ReasonUnknownKey, path, "unknown key %s in this trial", id)
}

func (a *Authority) revoked(id KeyID, index uint64) *Refusal {
	suspect := uint64(math.MaxUint64)
	for _, r := range a.revocations[id] {
		if r.index < index {
			return refuse(ReasonKeyRevoked, "predicate.signer.keyId", "key revoked at index %d", r.index)
		}
		suspect = min(suspect, r.suspect)
	}
	if suspect <= index && suspect != math.MaxUint64 {
		return refuse(ReasonKeySuspect, "predicate.signer.keyId", "key suspect since %d", suspect)
	}
	return nil
}

// permits judges one enrolment. The number grows with how near it came.
func (e *enrolment) permits(p *Predicate, index uint64, at *time.Time) (*Refusal, int) {
	b := e.body
	switch {
	case !slices.Contains(b.Kinds, p.Kind):
		return refuse(ReasonKeyOtherKind, "predicate.kind", "the key is not enrolled for statements of kind %s", p.Kind), 1
	case !e.covers(p):
		return refuse(ReasonKeyOtherSite, "predicate.site", "%s", otherSite(p)), 2
	case p.Kind == KindEndorsement && b.Holder != HolderPerson:
		return refuse(ReasonNotAPerson, "predicate.signer.keyId", "only persons endorse"), 3
	case !slices.Contains(b.Roles, p.Signer.Role):
		return refuse(ReasonRoleNotAllowed, "predicate.signer.role", "the key is not enrolled in the role %s", p.Signer.Role), 4
	case p.Signer.Name != b.Name:
		return refuse(ReasonSignerMismatch, "predicate.signer.name", "not the name that was enrolled"), 5
	case p.Signer.Organisation != b.Organisation:
		return refuse(ReasonSignerMismatch, "predicate.signer.organisation", "not the organisation that was enrolled"), 5
	case e.since(p.Site, index) >= index:
		return refuse(ReasonKeyNotActive, "predicate.signer.keyId", "the key waits for the endorsement of its enrolment %s by the site's investigator", e.id), 6
	}
	return e.period(at), 7
}

// covers tells whether the enrolment is for the statement's site. A trial-wide
// statement needs a key for all sites, except an endorsement, which follows its
// act, and a delegate's enrolment, which names its sites itself.
func (e *enrolment) covers(p *Predicate) bool {
	if p.Site == "" {
		return e.body.AllSites || p.Kind == KindEndorsement || p.Kind == KindKeyEnrolment
	}
	return e.body.AllSites || slices.Contains(e.body.Sites, p.Site)
}

func otherSite(p *Predicate) string {
	if p.Site == "" {
		return "a trial-wide statement needs a key for all sites"
	}
	return "the key is not enrolled for this site"
}

// since returns the index from which the key is active at a site, or at any of
// its sites; math.MaxUint64 where it is not before index.
func (e *enrolment) since(site string, index uint64) uint64 {
	if !e.gated {
		return e.index
	}
	first := uint64(math.MaxUint64)
	for s, since := range e.active {
		if (site == "" || s == site) && since < index {
			first = min(first, since)
		}
	}
	return first
}

// period judges the validity by log time: From is inside, Until is not.
func (e *enrolment) period(at *time.Time) *Refusal {
	switch b := e.body; {
	case at == nil:
		return nil
	case b.From != nil && at.Before(*b.From):
		return refuse(ReasonKeyNotYetValid, "predicate.signer.keyId", "the key is valid from %s", formatTime(*b.From))
	case b.Until != nil && !at.Before(*b.Until):
		return refuse(ReasonKeyExpired, "predicate.signer.keyId", "the key was valid until %s", formatTime(*b.Until))
	}
	return nil
}
