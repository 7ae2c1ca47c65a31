package trial

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
)

// check judges what the fields of a statement say together.
func (st *Statement) check() *Refusal {
	p := &st.Predicate
	fixed, known := kinds[p.Kind]
	if bad := p.checkFields(); bad != nil {
		return bad
	}
	if !known {
		return nil
	}
	switch {
	case p.Declared == nil && !fixed.noDeclared:
		return refuse(ReasonMissingField, "predicate.declaredTime", "missing")
	case p.Meaning == "" && p.Kind != KindTimeMark:
		return refuse(ReasonMissingField, "predicate.meaning", "missing")
	case !p.Supersedes.IsZero() && fixed.final:
		return refuse(ReasonFieldNotAllowed, "predicate.supersedes", "a statement of kind %s supersedes nothing", p.Kind)
	case p.Site == "" && fixed.site:
		return refuse(ReasonMissingField, "predicate.site", "missing: a statement of kind %s is about one site", p.Kind)
	case p.Reason == "" && fixed.reason:
		return refuse(ReasonMissingReason, "predicate.reason", "missing: a statement of kind %s says why", p.Kind)
	}
	if bad := st.checkSubjects(fixed); bad != nil {
		return bad
	}
	return p.checkBody()
}

// checkFields judges the fields that every kind has, also one of a later
// version.
func (p *Predicate) checkFields() *Refusal {
	trial := p.Kind != KindCharter && p.Kind != KindTimeMark
	switch {
	case p.Signer.KeyID.IsZero():
		return refuse(ReasonMissingField, "predicate.signer", "missing")
	case p.Signed == nil:
		return refuse(ReasonMissingField, "predicate.signedTime", "missing")
	case p.Salt == [32]byte{}:
		return refuse(ReasonBadValue, "predicate.salt", "got zeros, want 32 random bytes")
	case trial && p.Charter.IsZero():
		return refuse(ReasonMissingField, "predicate.charter", "missing: it names the trial")
	case !trial && !p.Charter.IsZero():
		return refuse(ReasonFieldNotAllowed, "predicate.charter", "a statement of kind %s names no charter", p.Kind)
	case !trial && p.Site != "":
		return refuse(ReasonFieldNotAllowed, "predicate.site", "a statement of kind %s is about no site", p.Kind)
	case p.Kind == KindTimeMark && p.Trial != nil:
		return refuse(ReasonFieldNotAllowed, "predicate.trial", "a time mark belongs to no trial")
	case !p.Supersedes.IsZero() && p.Reason == "":
		return refuse(ReasonMissingReason, "predicate.reason", "missing: supersedes needs a reason")
	}
	return nil
}

// checkSubjects judges the subjects by what the kind is about.
func (st *Statement) checkSubjects(fixed kindForm) *Refusal {
	switch b := st.Predicate.Body.(type) {
	case *UnblindingBody:
		if b.Scope == UnblindParticipant {
			return st.checkCommitted(subjectParticipant)
		}
	case *RevealBody:
		return st.checkReveal()
	case *AuditTrailBody:
		return st.checkAuditTrail()
	case *VerificationBody:
		if st.Subjects[0].Name == subjectCharter {
			return st.checkConcern(subjectCharter)
		}
	}
	switch {
	case fixed.committed:
		return st.checkCommitted(fixed.subject)
	case fixed.subject != "":
		return st.checkConcern(fixed.subject)
	}
	return st.checkFiles(st.Subjects)
}

// checkCommitted judges the one subject of what must not be guessed.
func (st *Statement) checkCommitted(name string) *Refusal {
	if bad := st.checkOne(name); bad != nil {
		return bad
	}
	if _, ok := st.Subjects[0].Digests.Get(DigestCommitment); !ok || len(st.Subjects[0].Digests) != 1 {
		return refuse(ReasonBadDigest, digestPath(0), "want the salted commitment %s and nothing else: any other digest could be guessed", DigestCommitment)
	}
	return nil
}

// checkReveal judges the file that a seal was of: its digest and its commitment.
func (st *Statement) checkReveal() *Refusal {
	if st.Predicate.Manifest != nil {
		return refuse(ReasonFieldNotAllowed, "predicate.manifest", "no subject is a manifest")
	}
	if len(st.Subjects) != 1 {
		return refuse(ReasonBadName, "subject", "want one subject, the file that was sealed")
	}
	d := st.Subjects[0].Digests
	_, sha := d.Get(DigestSHA256)
	_, commitment := d.Get(DigestCommitment)
	_, table := d.Get(DigestTable)
	if n := len(d); !sha || !commitment || n > 3 || n == 3 && !table {
		return refuse(ReasonBadDigest, digestPath(0), "want sha256 and %s of the file", DigestCommitment)
	}
	return nil
}

// checkAuditTrail judges the root and the exports beside it.
func (st *Statement) checkAuditTrail() *Refusal {
	first := st.Subjects[0]
	if first.Name != subjectAuditTrail {
		return refuse(ReasonBadName, "subject[0].name", "want a subject named %q first", subjectAuditTrail)
	}
	if _, ok := first.Digests.Get(DigestAudit); !ok || len(first.Digests) != 1 {
		return refuse(ReasonBadDigest, digestPath(0), "want %s and nothing else", DigestAudit)
	}
	if bad := st.checkFiles(st.Subjects[1:]); bad != nil {
		return bad
	}
	if st.Predicate.Manifest != nil {
		return refuse(ReasonFieldNotAllowed, "predicate.manifest", "a manifest is the only subject of its statement")
	}
	return nil
}

// checkFiles judges the digests of files, which are the statement's last
// subjects.
func (st *Statement) checkFiles(files []Subject) *Refusal {
	manifests := 0
	for i := range files {
		s := &files[i]
		if len(s.Digests) == 1 && s.Digests[0].Name == DigestSHA256 {
			continue
		}
		i += len(st.Subjects) - len(files)
		_, sha := s.Digests.Get(DigestSHA256)
		_, table := s.Digests.Get(DigestTable)
		_, root := s.Digests.Get(DigestManifest)
		n := 0
		for _, has := range []bool{sha, table, root} {
			if has {
				n++
			}
		}
		switch {
		case n != len(s.Digests):
			return refuse(ReasonBadDigest, digestPath(i), "want digests of the names sha256, tn-table-v1 and tn-manifest-v1 only")
		case root && n > 1:
			return refuse(ReasonBadDigest, digestPath(i), "tn-manifest-v1 stands alone")
		case table && !sha:
			return refuse(ReasonBadDigest, digestPath(i), "tn-table-v1 stands only beside sha256")
		case root:
			manifests++
		}
	}
	switch info := st.Predicate.Manifest; {
	case manifests > 0 && len(st.Subjects) > 1:
		return refuse(ReasonBadDigest, "subject", "a manifest is the only subject of its statement")
	case manifests > 0 && info == nil:
		return refuse(ReasonMissingField, "predicate.manifest", "missing: a root does not say how many files it covers")
	case manifests == 0 && info != nil:
		return refuse(ReasonFieldNotAllowed, "predicate.manifest", "no subject is a manifest")
	}
	return nil
}

func digestPath(i int) string { return "subject[" + strconv.Itoa(i) + "].digest" }

// checkConcern judges the one subject of an act that is about no file.
func (st *Statement) checkConcern(name string) *Refusal {
	if bad := st.checkOne(name); bad != nil {
		return bad
	}
	if len(st.Subjects[0].Digests) != 1 || !st.Subjects[0].Digests.Is(DigestSHA256, st.concern()) {
		return refuse(ReasonBadDigest, digestPath(0), "not the sha256 of what the body concerns")
	}
	return nil
}

// checkOne wants one subject with a fixed name.
func (st *Statement) checkOne(name string) *Refusal {
	switch {
	case st.Predicate.Manifest != nil:
		return refuse(ReasonFieldNotAllowed, "predicate.manifest", "no subject is a manifest")
	case len(st.Subjects) != 1 || st.Subjects[0].Name != name:
		return refuse(ReasonBadName, "subject", "want one subject named %q", name)
	}
	return nil
}

// concern returns the SHA-256 of what an act without file concerns.
func (st *Statement) concern() [32]byte {
	switch b := st.Predicate.Body.(type) {
	case *CharterBody:
		return b.SponsorKey.ID
	case *EnrolmentBody:
		return b.Key.ID
	case *RevocationBody:
		return b.Key
	case *RecoveryBody:
		return b.NewKey.ID
	case *DelegationBody:
		return sha256.Sum256([]byte(b.To))
	case *EndorsementBody:
		return b.Statement
	case *UnlockBody:
		return b.Lock
	case *FindingResponseBody:
		return b.Statement
	case *RedactionBody:
		return b.Statement
	case *TimeMarkBody:
		// Not the root itself: it is also the digest of a 65-byte file.
		text := b.Origin + "\n" + strconv.FormatUint(b.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(b.Root[:]) + "\n"
		return sha256.Sum256([]byte(text))
	}
	if kinds[st.Predicate.Kind].subject == subjectCharter || st.Predicate.Kind == KindVerification {
		return st.Predicate.Charter
	}
	return [32]byte{}
}

// checkBody judges bodies that repeat what the common fields say.
func (p *Predicate) checkBody() *Refusal {
	switch b := p.Body.(type) {
	case *CharterBody:
		if p.Signer.KeyID != b.SponsorKey.ID {
			return refuse(ReasonUnknownKey, "predicate.signer.keyId", "not the sponsor's key of the charter")
		}
	case *RegistrationBody:
		if p.Trial[b.Registry] != b.Number {
			return refuse(ReasonRegistryMismatch, "predicate.trial", "want the number that the body registers")
		}
	case *TimeMarkBody:
		if !p.Signed.UTC.Equal(b.Time) {
			return refuse(ReasonBadValue, "predicate.signedTime", "not the time of the mark")
		}
		if p.Signer.Role != RoleNotary {
			return refuse(ReasonRoleNotAllowed, "predicate.signer.role", "want the role %s", RoleNotary)
		}
	case *UnblindingBody:
		if b.Scope == UnblindParticipant && p.Reason == "" {
			return refuse(ReasonMissingReason, "predicate.reason", "missing: say why the participant was unblinded")
		}
	}
	return nil
}
