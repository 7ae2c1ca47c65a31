package notary

import (
	"errors"
	"fmt"
	"slices"

	"github.com/trialnotary/trialnotary/trial"
)

// admit decides whether a new act may be logged now, and tells whether it may
// change its trial's authority. In that case it has waited for its turn, which
// ends when the act does: until then nothing else changes this trial's
// authority, so what was admitted is what takes effect.
//
// Admission judges the signer and what the act relies on to have any meaning. A
// statement that supersedes or derives from one that the notary does not hold is
// evidence, and is recorded.
func (s *Service) admit(a *act) (authority bool, err error) {
	p := &a.st.Predicate
	if p.Kind == trial.KindCharter {
		return true, s.admitRules(p.Body) // its keys were judged when its signer was found
	}
	_, now, err := s.trials.get(s.ctx, p.Charter)
	if err != nil {
		return false, err
	}
	authority, err = s.relies(a)
	if err != nil {
		return false, err
	}
	authority = authority || trial.AffectsAuthority(a.st, now.auth)
	if authority {
		if a.trial, err = s.trials.lock(s.ctx, p.Charter); err != nil {
			return false, err
		}
		now = a.trial.now.Load()
	}
	at, err := s.marks.expected()
	if err != nil {
		return false, unavailable(err)
	}
	return authority, now.auth.Admit(a.st, at)
}

// admitRules judges what a charter says about rules. One charter's rules are
// compiled at a time: whoever may open trials takes one core at most, however many
// charters come at once. It may wait, which no worker does for a charter.
func (s *Service) admitRules(body any) error {
	b, ok := body.(*trial.CharterBody)
	if !ok {
		return nil // the parser lets none through
	}
	select {
	case s.compiling <- struct{}{}:
		defer func() { <-s.compiling }()
	case <-s.ctx.Done():
		return unavailable(errClosing)
	}
	return s.cfg.Packs.Admit(b)
}

// relies checks what an act must find logged in its trial: an endorsement its
// target, a recovery the statements that it confirms. Without those it could
// never have an effect, since neither takes effect on what comes later.
//
// It tells whether an endorsement's target is an authority statement. The store
// knows that before the trial's fold does.
func (s *Service) relies(a *act) (authority bool, err error) {
	st := a.st
	switch b := st.Predicate.Body.(type) {
	case *trial.EnrolmentBody:
		if err := s.claimKey(a, b.Key.ID); err != nil {
			return true, err
		}
		return true, s.inNoOtherTrial(st, b.Key.ID)
	case *trial.EndorsementBody:
		target, err := s.inTrial(st, b.Statement, "predicate.body.statement")
		if err != nil {
			return false, err
		}
		return target.Kind == trial.KindKeyEnrolment, nil
	case *trial.RecoveryBody:
		for i, id := range b.Confirmed {
			path := fmt.Sprintf("predicate.body.confirmed[%d]", i)
			rec, err := s.inTrial(st, id, path)
			if err != nil {
				return false, err
			}
			if !rec.Authority {
				return false, &trial.Refusal{Reason: trial.ReasonUnknownStatement, Path: path,
					Detail: fmt.Sprintf("statement %s enrols, revokes or endorses no key: only such statements are confirmed", id)}
			}
		}
	}
	return false, nil
}

// keyClaim is who enrols a key now: a trial, by some number of acts.
type keyClaim struct {
	charter trial.ID
	acts    int
}

// claimKey keeps two trials from enrolling one key at once, of which neither would
// find the other's enrolment. The claim ends with the act.
func (s *Service) claimKey(a *act, key trial.KeyID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	claim, ok := s.enrolling[key]
	if ok && claim.charter != a.st.Predicate.Charter {
		return unavailable(errors.New("another trial is enrolling this key"))
	}
	s.enrolling[key] = keyClaim{charter: a.st.Predicate.Charter, acts: claim.acts + 1}
	a.enrols = &key
	return nil
}

// releaseKey needs mu.
func (s *Service) releaseKey(a *act) {
	if a.enrols == nil {
		return
	}
	claim := s.enrolling[*a.enrols]
	if claim.acts--; claim.acts == 0 {
		delete(s.enrolling, *a.enrols)
	} else {
		s.enrolling[*a.enrols] = claim
	}
	a.enrols = nil
}

// inNoOtherTrial refuses to enrol a key that another trial has enrolled. With keys
// for one trial only, whoever scans the log for a trial's keys finds every entry
// that is the trial's. Nobody learns of another trial by it but the key's holder,
// who has signed the enrolment.
func (s *Service) inNoOtherTrial(st *trial.Statement, key trial.KeyID) error {
	enrolments, err := s.store.List(s.ctx, Query{
		Digest: key.String(), Kind: trial.KindKeyEnrolment, After: -1, Limit: maxEnrolments,
	})
	if err != nil {
		return unavailable(fmt.Errorf("looking a key's enrolments up: %w", err))
	}
	for _, rec := range enrolments {
		if rec.Charter != st.Predicate.Charter {
			return &trial.Refusal{Reason: trial.ReasonKeyInUse, Path: "predicate.body.key",
				Detail: "the key is enrolled in another trial; make one for this trial"}
		}
	}
	return nil
}

// maxEnrolments bounds the look-up of a key's enrolments: all of a key that has
// so many are of one trial, since the second trial's first was refused.
const maxEnrolments = 16

// inTrial returns a logged statement of the same trial, or refuses. That it is
// another trial's is not told.
func (s *Service) inTrial(st *trial.Statement, id trial.ID, path string) (*Record, error) {
	rec, err := s.store.Get(s.ctx, id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, unavailable(fmt.Errorf("looking a statement up: %w", err))
	}
	if err != nil || !rec.Logged || rec.Charter != st.Predicate.Charter {
		return nil, &trial.Refusal{Reason: trial.ReasonUnknownStatement, Path: path,
			Detail: fmt.Sprintf("no statement %s is logged in this trial", id)}
	}
	return rec, nil
}

// registryNumbers returns the numbers that a charter or a registration claims,
// normalised, each once.
func registryNumbers(st *trial.Statement) []string {
	if k := st.Predicate.Kind; k != trial.KindCharter && k != trial.KindRegistration {
		return nil
	}
	numbers := st.Predicate.Trial.Normalise()
	slices.Sort(numbers)
	return slices.Compact(numbers)
}
