package trial

import (
	"errors"
	"strings"
)

func (r *reader) publicKey() *PublicKey {
	der := r.base64(maxKeyDER)
	if r.refusal != nil {
		return nil
	}
	key, err := ParsePublicKeyDER(der)
	if bad := (*Refusal)(nil); errors.As(err, &bad) {
		r.failf(bad.Reason, "%s", bad.Detail)
		return nil
	}
	return key
}

func (r *reader) proof() []byte {
	sig := r.base64(maxSig)
	if r.refusal == nil && len(sig) < minSig {
		r.failf(ReasonBadPossessionProof, "got %d bytes, want %d to %d", len(sig), minSig, maxSig)
	}
	return sig
}

func (r *reader) role() Role {
	return Role(r.identifier(isRole, "a role: at most 40 lowercase letters, digits or -"))
}

var blindingGuards = []BlindingGuard{BlindingOff, BlindingWarn, BlindingRefuse}

func (r *reader) charter() *CharterBody {
	b := new(CharterBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "sponsorKey":
			b.SponsorKey = r.publicKey()
		case "sponsorProof":
			b.SponsorProof = r.proof()
		case "recoveryKey":
			b.RecoveryKey = r.publicKey()
		case "recoveryProof":
			b.RecoveryProof = r.proof()
		case "sponsorOrganisation":
			b.SponsorOrganisation = r.line(maxName)
		case "sites":
			b.Sites = r.sites()
		case "rulePack":
			h := r.hash(ReasonBadDigest)
			b.RulePack = ID(h).String()
		case "parameters":
			b.Parameters = r.parameters()
		case "endorsements":
			b.Endorsements = r.endorsements()
		case "roles":
			b.Roles = listOf(r, maxRoles, r.extraRole)
		case "randomisationList":
			b.RandomisationList = r.boolean()
		case "blindingGuard":
			b.BlindingGuard = oneOf(r, blindingGuards)
		case "rules":
			b.Rules = r.ownRules()
		case "unblindingExempt":
			b.UnblindingExempt = listOf(r, maxExempt, func() string { return r.line(maxName) })
		default:
			r.unknown()
		}
	}
	r.require("sponsorKey", b.SponsorKey != nil)
	r.require("sponsorProof", b.SponsorProof != nil)
	r.require("recoveryKey", b.RecoveryKey != nil)
	r.require("recoveryProof", b.RecoveryProof != nil)
	r.require("sponsorOrganisation", b.SponsorOrganisation != "")
	r.require("sites", len(b.Sites) > 0)
	if r.refusal == nil && b.SponsorKey.ID == b.RecoveryKey.ID {
		r.failAtf("recoveryKey", ReasonKeyInUse, "the recovery key is the sponsor's key")
	}
	if r.refusal == nil {
		r.endorsementRoles(b)
	}
	return b
}

// extraRole reads a role that the charter adds. What ends like a system's role
// or begins like a site's would take its rules with it.
func (r *reader) extraRole() Role {
	role := r.role()
	switch {
	case r.refusal != nil:
	case knownRole(role, nil), role == RoleSponsor, role == RoleRecovery, role == RoleNotary:
		r.failf(ReasonBadValue, "the role is given by the closed list")
	case role.ofSite(), role.ofSystem():
		r.failf(ReasonBadValue, "an added role may neither begin with site- nor end with -system")
	}
	return role
}

func (r *reader) sites() []Site {
	var out []Site
	seen := make(map[string]struct{})
	r.begin('[')
	for r.more() {
		if len(out) == maxSites {
			r.failf(ReasonTooLarge, "got more than %d sites", maxSites)
			return nil
		}
		s := r.site()
		// Two ids that differ in case alone are one site to many systems.
		key := strings.ToLower(s.ID)
		if _, dup := seen[key]; dup && r.refusal == nil {
			r.failAtf("id", ReasonDuplicateValue, "another site has this id")
		}
		seen[key] = struct{}{}
		out = append(out, s)
	}
	if r.refusal == nil && len(out) == 0 {
		r.failf(ReasonMissingField, "want at least one site")
	}
	return out
}

func (r *reader) site() Site {
	var s Site
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "id":
			s.ID = r.siteID()
		case "name":
			s.Name = r.line(maxName)
		case "country":
			s.Country = r.country()
		case "gln":
			s.GLN = r.identifier(schemes[SchemeGLN], "a GLN of 13 digits with its check digit")
		default:
			r.unknown()
		}
	}
	r.require("id", s.ID != "")
	r.require("name", s.Name != "")
	return s
}

func (r *reader) siteID() string {
	return r.identifier(isSite, "a site's id: at most 20 letters, digits, _ or -")
}

func (r *reader) parameters() map[string]int64 {
	out := make(map[string]int64)
	r.begin('{')
	for r.next() {
		name := string(r.name)
		n := r.integer()
		switch {
		case r.refusal != nil:
		case !isParameter(name):
			r.failf(ReasonBadIdentifier, "want a parameter's name in lower camel case, at most 40 characters")
		case len(out) == maxMap:
			r.failf(ReasonTooLarge, "got more than %d entries", maxMap)
		default:
			out[name] = n
		}
	}
	r.notEmpty(len(out))
	return out
}

func (r *reader) endorsements() map[Kind][]Role {
	out := make(map[Kind][]Role)
	r.begin('{')
	for r.next() {
		kind := Kind(r.name)
		list := listOrNone(r, maxRoles, r.role)
		switch {
		case r.refusal != nil:
		case !isKind(string(kind)):
			r.failf(ReasonBadIdentifier, "want a kind: at most 40 lowercase letters, digits or -")
		case len(out) == maxKinds:
			r.failf(ReasonTooLarge, "got more than %d entries", maxKinds)
		default:
			out[kind] = list
		}
	}
	r.notEmpty(len(out))
	return out
}

// endorsementRoles checks the table against the roles, which may come after it.
func (r *reader) endorsementRoles(b *CharterBody) {
	for kind, list := range b.Endorsements {
		for _, role := range list {
			if !knownRole(role, b.Roles) {
				r.failAtf("endorsements", ReasonUnknownRole, "the table for %s names a role that neither the list nor the charter has", kind)
				return
			}
		}
	}
}

var (
	holderTypes       = []HolderType{HolderPerson, HolderSystem}
	organisationTypes = []OrganisationType{OrganisationSponsor, OrganisationSite, OrganisationCRO, OrganisationVendor}
)

func (r *reader) enrolment() *EnrolmentBody {
	b := new(EnrolmentBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "holderId":
			b.HolderID = r.identifier(isHolder, "a holder's id: at most 64 letters, digits and . _ @ : + -")
		case "holder":
			b.Holder = oneOf(r, holderTypes)
		case "name":
			b.Name = r.line(maxName)
		case "orcid":
			b.ORCID = r.identifier(isORCID, "an ORCID iD with its check character")
		case "organisation":
			b.Organisation = r.line(maxName)
		case "organisationType":
			b.OrganisationType = oneOf(r, organisationTypes)
		case "roles":
			b.Roles = listOf(r, maxRoles, r.role)
		case "allSites":
			b.AllSites = r.boolean()
		case "sites":
			b.Sites = r.siteList()
		case "kinds":
			b.Kinds = listOf(r, maxKinds, r.enrolledKind)
		case "from":
			t := r.time()
			b.From = &t
		case "until":
			t := r.time()
			b.Until = &t
		case "key":
			b.Key = r.publicKey()
		case "proof":
			b.Proof = r.proof()
		default:
			r.unknown()
		}
	}
	r.require("holderId", b.HolderID != "")
	r.require("holder", b.Holder != "")
	r.require("name", b.Name != "")
	r.require("organisation", b.Organisation != "")
	r.require("organisationType", b.OrganisationType != "")
	r.require("roles", len(b.Roles) > 0)
	r.require("kinds", len(b.Kinds) > 0)
	r.require("key", b.Key != nil)
	r.require("proof", b.Proof != nil)
	if r.refusal == nil {
		r.enrolmentSense(b)
	}
	return b
}

func (r *reader) siteList() []string {
	var out []string
	seen := make(map[string]struct{})
	r.begin('[')
	for r.more() {
		if len(out) == maxSites {
			r.failf(ReasonTooLarge, "got more than %d sites", maxSites)
			return nil
		}
		s := r.siteID()
		if _, dup := seen[s]; dup && r.refusal == nil {
			r.failf(ReasonDuplicateValue, "listed more than once")
		}
		seen[s] = struct{}{}
		out = append(out, s)
	}
	r.notEmpty(len(out))
	return out
}

// enrolledKind reads a kind that an enrolled key may sign. It may be one of a
// later version, so that a trial need not enrol its keys again. Of the kinds of
// authority it may be the enrolment alone, which needs a delegation too.
func (r *reader) enrolledKind() Kind {
	k := Kind(r.identifier(isKind, "a kind: at most 40 lowercase letters, digits or -"))
	if k.Authority() && k != KindKeyEnrolment || k == KindTimeMark {
		r.failf(ReasonKindNotAllowed, "no enrolled key signs statements of kind %s", k)
	}
	return k
}

// enrolmentSense checks what the fields say together.
func (r *reader) enrolmentSense(b *EnrolmentBody) {
	site := b.OrganisationType == OrganisationSite
	switch {
	case b.AllSites && b.Sites != nil:
		r.failAtf("sites", ReasonBadValue, "got a list beside allSites, want one of them")
	case !b.AllSites && b.Sites == nil:
		r.failAtf("sites", ReasonMissingField, "missing: list the sites, or set allSites")
	case b.AllSites && site:
		r.failAtf("allSites", ReasonBadValue, "a holder at a site signs for the sites listed")
	case b.From != nil && b.Until != nil && !b.From.Before(*b.Until):
		r.failAtf("until", ReasonBadTime, "want a time after from")
	case b.ORCID != "" && b.Holder != HolderPerson:
		r.failAtf("orcid", ReasonBadValue, "only a person has an ORCID iD")
	}
	for _, role := range b.Roles {
		switch {
		case role.ofSite() && !site:
			r.failAtf("roles", ReasonRoleNotAllowed, "the role %s needs the organisation type site", role)
		case role.ofSystem() && b.Holder != HolderSystem:
			r.failAtf("roles", ReasonRoleNotAllowed, "the role %s is a system's", role)
		case knownRole(role, nil) && !role.ofSystem() && b.Holder != HolderPerson:
			r.failAtf("roles", ReasonRoleNotAllowed, "the role %s is a person's", role)
		}
	}
}

var causes = []RevocationCause{CauseCompromised, CauseLost, CauseSuperseded, CauseLeft, CauseError}

func (r *reader) revocation() *RevocationBody {
	b := new(RevocationBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "key":
			b.Key = r.hash(ReasonBadIdentifier)
		case "cause":
			b.Cause = oneOf(r, causes)
		case "suspectSince":
			n := r.number()
			b.SuspectSince = &n
		default:
			r.unknown()
		}
	}
	r.require("key", !b.Key.IsZero())
	r.require("cause", b.Cause != "")
	return b
}

func (r *reader) recovery() *RecoveryBody {
	b := new(RecoveryBody)
	var trusted bool
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "newKey":
			b.NewKey = r.publicKey()
		case "proof":
			b.Proof = r.proof()
		case "lastTrustedIndex":
			b.LastTrustedIndex, trusted = r.number(), true
		case "confirmed":
			b.Confirmed = r.ids(maxConfirmed)
		default:
			r.unknown()
		}
	}
	r.require("newKey", b.NewKey != nil)
	r.require("proof", b.Proof != nil)
	r.require("lastTrustedIndex", trusted)
	return b
}
