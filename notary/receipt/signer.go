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
		j.failf(CheckCharter, "the statement is of the trial %s, the trust folder of %s", j.st.Predicate.Charter, j.v.trust.Charter)
	} else {
		j.pass(CheckCharter, "the statement is of the trust folder's trial")
	}
	c := g.chain
	if c.err != nil {
		j.signature(nil)
		j.failf(CheckKeyEnrolled, "signer unproven: %v", c.err)
		j.skipf(CheckKeyNotRevoked, "not checked: signer unproven")
		j.skipf(CheckValidityPeriod, "not checked: signer unproven")
		return
	}
	key, ok := c.authority.Key(j.st.Predicate.Signer.KeyID)
	if !ok {
		j.signature(nil)
		j.failf(CheckKeyEnrolled, "signer unproven: the key %s is not enrolled in this trial", j.st.Predicate.Signer.KeyID)
		j.skipf(CheckKeyNotRevoked, "not checked: signer unproven")
		j.skipf(CheckValidityPeriod, "not checked: signer unproven")
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
		j.failf(CheckKeyNotRevoked, "%v", c.listErr)
	}
	if err != nil {
		j.skipf(CheckKeyNotRevoked, "not judged: see the checks that failed")
		j.skipf(CheckValidityPeriod, "not judged: see the checks that failed")
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
		j.skipf(CheckKeyEnrolled, "not judged: the key is revoked or suspect")
		j.failf(CheckKeyNotRevoked, "%s", why)
	case trial.ReasonKeyExpired, trial.ReasonKeyNotYetValid:
		j.failf(CheckValidityPeriod, "%s", why)
	case trial.ReasonOtherTrial, trial.ReasonRegistryMismatch:
		j.skipf(CheckKeyEnrolled, "not judged: see %s", CheckCharter)
		j.failf(CheckCharter, "%s", why)
	case trial.ReasonUnknownKind:
		j.skipf(CheckKeyEnrolled, "not judged: kind not understood")
	default:
		j.failf(CheckKeyEnrolled, "%s", why)
	}
}

// enrolled reports who signed.
func (j *judgement) enrolled(s trial.Standing) {
	*j.signerRoom = Signer{
		KeyID: j.st.Predicate.Signer.KeyID, HolderID: s.HolderID, Name: s.Name, Organisation: s.Organisation,
		OrganisationType: s.OrganisationType, Roles: s.Roles, Since: s.Since,
	}
	j.verdict.Signer = j.signerRoom
	where := "trial-wide"
	if j.st.Predicate.Site != "" {
		where = "site "
	}
	j.pass(CheckKeyEnrolled, j.words.join(s.Name, ", ", j.verdict.Signer.Of(), ", may sign ", string(j.st.Predicate.Kind),
		" (", where, j.st.Predicate.Site, ") since index ", j.words.decimal(s.Since)))
}

// revocations reports up to where revocations are known. Without the notary's
// signed list one could have been left out.
func (j *judgement) revocations(c *chain) {
	switch {
	case c.upTo == 0:
		j.skipf(CheckKeyNotRevoked, "no revocation among the authority receipts; no signed list says up to where they are complete")
	case c.upTo <= j.r.Index:
		j.verdict.AuthorityUpTo = c.upTo
		j.skipf(CheckKeyNotRevoked, "no revocation known up to index %d, which is before this entry", c.upTo)
	default:
		j.verdict.AuthorityUpTo = c.upTo
		j.pass(CheckKeyNotRevoked, j.words.join("not revoked; revocations are known up to index ", j.words.decimal(c.upTo)))
	}
}

func (j *judgement) period(c *chain) {
	switch {
	case j.at == nil:
		j.skipf(CheckValidityPeriod, "validity period not checked: the log time is not known")
	case c.untimed > 0:
		j.skipf(CheckValidityPeriod, "validity period not checked: the log time of %d authority statements is not known", c.untimed)
	default:
		j.pass(CheckValidityPeriod, "the enrolment was valid at the log time")
	}
}

// charter judges the charter itself: the sponsor's key signed it, and it proves
// the keys that it names.
func (j *judgement) charter() {
	if j.st.ID != j.v.trust.Charter {
		j.failf(CheckCharter, "the charter is that of the trial %s, the trust folder is of %s", j.st.ID, j.v.trust.Charter)
	} else {
		j.pass(CheckCharter, "the charter of the trust folder")
	}
	j.signature(j.v.trust.Sponsor)
	a, err := trial.NewAuthority(j.st, j.r.Index)
	switch {
	case err != nil:
		j.failf(CheckKeyEnrolled, "%v", err)
	case j.st.Predicate.Signer.KeyID != j.v.trust.Sponsor.ID:
		j.failf(CheckKeyEnrolled, "signer unproven: the charter is not signed by the sponsor's key of the trust folder")
	default:
		j.pass(CheckKeyEnrolled, "the sponsor's key of the trust folder")
		j.verdict.Signer = &Signer{KeyID: j.v.trust.Sponsor.ID, Name: a.SponsorName(), Organisation: a.SponsorName(),
			OrganisationType: trial.OrganisationSponsor, Since: j.r.Index}
	}
	j.skipf(CheckKeyNotRevoked, "not checked: the charter begins the trial")
	j.skipf(CheckValidityPeriod, "not checked: the charter begins the trial")
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
