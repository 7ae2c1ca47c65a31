package trial

import (
	"math"
	"slices"
	"time"
)

// Delegation is a delegation that counts. The body is shared.
type Delegation struct {
	Statement ID
	Index     uint64
	// Ended is the index of the delegation that superseded it; math.MaxUint64
	// where none did.
	Ended uint64
	Body  *DelegationBody
}

// Delegations returns the delegations that took effect and are not void, in log
// order, those that have ended too.
func (a *Authority) Delegations() []Delegation { return slices.Clone(a.delegations) }

// InForce tells whether the delegation lets its delegate act at index, at the log
// time at; nil leaves its period unchecked.
func (d *Delegation) InForce(index uint64, at *time.Time) bool {
	if d.Index >= index || d.Ended < index {
		return false
	}
	return at == nil || !at.Before(d.Body.Begins) && (d.Body.Ends == nil || at.Before(*d.Body.Ends))
}

// delegate keeps a delegation that was judged good. The slice is not changed in
// place: clones share it.
func (a *Authority) delegate(st *Statement, b *DelegationBody, index uint64) {
	list := slices.Clone(a.delegations)
	for i := range list {
		if list[i].Statement == st.Predicate.Supersedes {
			list[i].Ended = index
		}
	}
	list = append(list, Delegation{Statement: st.ID, Index: index, Ended: math.MaxUint64, Body: b})
	a.delegations = list
}

// checkDelegation judges a delegation: its keys are the delegate's, and what it
// supersedes is a delegation to the same organisation.
func (a *Authority) checkDelegation(st *Statement, b *DelegationBody, index uint64) *Refusal {
	for _, key := range b.Keys {
		ofDelegate := slices.ContainsFunc(a.enrolments[key], func(e *enrolment) bool {
			return e.index < index && e.body.Organisation == b.To && e.body.OrganisationType != OrganisationSponsor
		})
		if !ofDelegate {
			return refuse(ReasonUnknownKey, "predicate.body.keys", "no key %s of the delegate was enrolled before", key)
		}
	}
	old := st.Predicate.Supersedes
	if old.IsZero() {
		return nil
	}
	found := slices.ContainsFunc(a.delegations, func(d Delegation) bool {
		return d.Statement == old && d.Index < index && d.Ended >= index && d.Body.To == b.To
	})
	if !found {
		return refuse(ReasonUnknownStatement, "predicate.supersedes", "no delegation to the same organisation that still counts")
	}
	return nil
}

// delegated judges an enrolment that an enrolled key signs. That needs a
// delegation, and reaches no further than the key itself.
func (a *Authority) delegated(st *Statement, b *EnrolmentBody, index uint64, at *time.Time) (Standing, *Refusal) {
	id := st.Predicate.Signer.KeyID
	list := a.enrolments[id]
	enrols := slices.ContainsFunc(list, func(e *enrolment) bool {
		return e.index < index && slices.Contains(e.body.Kinds, KindKeyEnrolment)
	})
	if !enrols && (len(list) > 0 || a.keys[id] == nil) {
		return Standing{}, notAllowed("only the sponsor's key enrols keys, and a delegate's key that is enrolled for this kind")
	}
	s, bad := a.enrolled(st, index, at)
	if bad != nil {
		return Standing{}, bad
	}
	named := slices.ContainsFunc(a.delegations, func(d Delegation) bool {
		return d.InForce(index, at) && d.Body.To == s.Organisation &&
			slices.Contains(d.Body.Obligations, ObligationKeyEnrolment) && slices.Contains(d.Body.Keys, id)
	})
	if !named {
		return Standing{}, refuse(ReasonNotDelegated, "predicate.signer.keyId", "no delegation in force names the key with the obligation %s", ObligationKeyEnrolment)
	}
	return s, a.withinDelegation(s, b, index, at)
}

// withinDelegation judges what a delegate may never give: its own rights to
// itself, the right to enrol, a site that it has not, a name at the sponsor.
func (a *Authority) withinDelegation(s Standing, b *EnrolmentBody, index uint64, at *time.Time) *Refusal {
	first := a.holders[b.HolderID]
	switch {
	case b.HolderID == s.HolderID:
		return refuse(ReasonNotDelegated, "predicate.body.holderId", "a delegate enrols no key for itself")
	case b.OrganisationType == OrganisationSponsor || b.Organisation == a.body.SponsorOrganisation:
		return refuse(ReasonNotDelegated, "predicate.body.organisation", "a delegate enrols nobody for the sponsor")
	case first != nil && first.index < index && first.body.Organisation != b.Organisation:
		return refuse(ReasonNotDelegated, "predicate.body.holderId", "the holder was enrolled at index %d for another organisation", first.index)
	case slices.Contains(b.Kinds, KindKeyEnrolment):
		return refuse(ReasonNotDelegated, "predicate.body.kinds", "a delegate does not pass on the right to enrol")
	}
	reaches := slices.ContainsFunc(a.enrolments[s.KeyID], func(e *enrolment) bool {
		return e.index < index && slices.Contains(e.body.Kinds, KindKeyEnrolment) && e.period(at) == nil &&
			(e.body.AllSites || !b.AllSites && !slices.ContainsFunc(b.Sites, func(site string) bool {
				return !slices.Contains(e.body.Sites, site)
			}))
	})
	if !reaches {
		return refuse(ReasonNotDelegated, "predicate.body.sites", "the delegate's key is not enrolled for these sites")
	}
	return nil
}
