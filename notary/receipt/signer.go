package receipt

import (
	"errors"
	"fmt"
	"time"

	"github.com/trialnotary/trialnotary/trial"
)

// signer judges who signed: enrolled under this charter, for this site, kind and
// role, below the entry's index, not revoked as far as is known, within the
// enrolment's period.
func (j *judgement) signer(g *gathered) {
	if j.st.Predicate.Charter != j.v.trust.Charter {
		j.fail(CheckCharter, "the statement is of the trial %s, the trust folder of %s", j.st.Predicate.Charter, j.v.trust.Charter)
	} else {
		j.pass(CheckCharter, "the statement is of the trust folder's trial")
	}
	c := j.v.chain(g)
	if c.err != nil {
		j.signature(nil)
		j.fail(CheckKeyEnrolled, "signer unproven: %v", c.err)
		j.skip(CheckKeyNotRevoked, "not checked: signer unproven")
		j.skip(CheckValidityPeriod, "not checked: signer unproven")
		return
	}
	key, ok := c.authority.Key(j.st.Predicate.Signer.KeyID)
	if !ok {
		j.signature(nil)
		j.fail(CheckKeyEnrolled, "signer unproven: the key %s is not enrolled in this trial", j.st.Predicate.Signer.KeyID)
		j.skip(CheckKeyNotRevoked, "not checked: signer unproven")
		j.skip(CheckValidityPeriod, "not checked: signer unproven")
		return
	}
	j.signature(key)
	standing, err := c.authority.Judge(j.st, j.r.Index, j.at)
	if err != nil {
		j.refused(err)
		// What speaks against the period alone does not hide who signed.
		standing, err = c.authority.Judge(j.st, j.r.Index, nil)
	}
	if c.listErr != nil {
		j.fail(CheckKeyNotRevoked, "%v", c.listErr)
	}
	if err != nil {
		j.skip(CheckKeyNotRevoked, "not judged: see the checks that failed")
		j.skip(CheckValidityPeriod, "not judged: see the checks that failed")
		return
	}
	j.enrolled(standing)
	j.revocations(c)
	j.period(c)
}

// refused reports what the fold holds against the statement, under the check
// that it belongs to.
func (j *judgement) refused(err error) {
	why := err.Error()
	if r := (*trial.Refusal)(nil); errors.As(err, &r) {
		why = r.Detail
	}
	switch trial.ReasonOf(err) {
	case trial.ReasonKeyRevoked, trial.ReasonKeySuspect:
		j.skip(CheckKeyEnrolled, "not judged: the key is revoked or suspect")
		j.fail(CheckKeyNotRevoked, "%s", why)
	case trial.ReasonKeyExpired, trial.ReasonKeyNotYetValid:
		j.fail(CheckValidityPeriod, "%s", why)
	case trial.ReasonOtherTrial, trial.ReasonRegistryMismatch:
		j.skip(CheckKeyEnrolled, "not judged: see %s", CheckCharter)
		j.fail(CheckCharter, "%s", why)
	case trial.ReasonUnknownKind:
		j.skip(CheckKeyEnrolled, "not judged: kind not understood")
	default:
		j.fail(CheckKeyEnrolled, "%s", why)
	}
}

// enrolled reports who signed.
func (j *judgement) enrolled(s trial.Standing) {
	j.verdict.Signer = &Signer{
		KeyID: j.st.Predicate.Signer.KeyID, HolderID: s.HolderID, Name: s.Name, Organisation: s.Organisation,
		Roles: s.Roles, Since: s.Since,
	}
	where := "trial-wide"
	if j.st.Predicate.Site != "" {
		where = "site " + j.st.Predicate.Site
	}
	j.pass(CheckKeyEnrolled, "%s, %s, may sign %s (%s) since index %d", s.Name, s.Organisation, j.st.Predicate.Kind, where, s.Since)
}

// revocations reports up to where revocations are known. Without the notary's
// signed list one could have been left out.
func (j *judgement) revocations(c *chain) {
	switch {
	case c.upTo == 0:
		j.skip(CheckKeyNotRevoked, "no revocation among the authority receipts; no signed list says up to where they are complete")
	case c.upTo <= j.r.Index:
		j.verdict.AuthorityUpTo = c.upTo
		j.skip(CheckKeyNotRevoked, "no revocation known up to index %d, which is before this entry", c.upTo)
	default:
		j.verdict.AuthorityUpTo = c.upTo
		j.pass(CheckKeyNotRevoked, "not revoked; revocations are known up to index %d", c.upTo)
	}
}

func (j *judgement) period(c *chain) {
	switch {
	case j.at == nil:
		j.skip(CheckValidityPeriod, "validity period not checked: the log time is not known")
	case c.untimed > 0:
		j.skip(CheckValidityPeriod, "validity period not checked: the log time of %d authority statements is not known", c.untimed)
	default:
		j.pass(CheckValidityPeriod, "the enrolment was valid at the log time")
	}
}

// charter judges the charter itself: the sponsor's key signed it, and it proves
// the keys that it names.
func (j *judgement) charter(g *gathered) {
	if j.st.ID != j.v.trust.Charter {
		j.fail(CheckCharter, "the charter is that of the trial %s, the trust folder is of %s", j.st.ID, j.v.trust.Charter)
	} else {
		j.pass(CheckCharter, "the charter of the trust folder")
	}
	j.signature(j.v.trust.Sponsor)
	a, err := trial.NewAuthority(j.st, j.r.Index)
	switch {
	case err != nil:
		j.fail(CheckKeyEnrolled, "%v", err)
	case j.st.Predicate.Signer.KeyID != j.v.trust.Sponsor.ID:
		j.fail(CheckKeyEnrolled, "signer unproven: the charter is not signed by the sponsor's key of the trust folder")
	default:
		j.pass(CheckKeyEnrolled, "the sponsor's key of the trust folder")
		j.verdict.Signer = &Signer{KeyID: j.v.trust.Sponsor.ID, Name: a.SponsorName(), Organisation: a.SponsorName(), Since: j.r.Index}
	}
	j.skip(CheckKeyNotRevoked, "not checked: the charter begins the trial")
	j.skip(CheckValidityPeriod, "not checked: the charter begins the trial")
}

// apply folds one authority statement. One that has no effect stays without:
// the fold counts it.
func (v *Verifier) apply(a *trial.Authority, g *gathered, p *proven, c *chain) error {
	var at time.Time
	if t := g.marks.time(p.receipt.Index); t != nil {
		at = *t
	} else {
		c.untimed++
	}
	err := a.Apply(p.statement, p.receipt.Index, at)
	if err != nil && trial.ReasonOf(err) == "" {
		return fmt.Errorf("folding it: %w", err)
	}
	return nil
}
