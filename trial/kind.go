package trial

import "slices"

// Kind is what a statement is about.
type Kind string

// The kinds that this version understands.
const (
	KindCharter             Kind = "charter"
	KindBaseline            Kind = "baseline"
	KindKeyEnrolment        Kind = "key-enrolment"
	KindKeyRevocation       Kind = "key-revocation"
	KindKeyRecovery         Kind = "key-recovery"
	KindDelegation          Kind = "delegation"
	KindRegistration        Kind = "registration"
	KindProtocol            Kind = "protocol"
	KindProtocolAmendment   Kind = "protocol-amendment"
	KindICF                 Kind = "icf"
	KindEthicsDecision      Kind = "ethics-decision"
	KindAuthorityDecision   Kind = "authority-decision"
	KindVersionEffective    Kind = "version-effective"
	KindSAP                 Kind = "sap"
	KindRandomisationSeal   Kind = "randomisation-seal"
	KindRandomisationReveal Kind = "randomisation-reveal"
	KindFirstParticipant    Kind = "first-participant"
	KindLastVisit           Kind = "last-participant-last-visit"
	KindDataset             Kind = "dataset"
	KindDerivedDataset      Kind = "derived-dataset"
	KindConsentManifest     Kind = "consent-manifest"
	KindConsentWithdrawal   Kind = "consent-withdrawal"
	KindDatabaseLock        Kind = "database-lock"
	KindDatabaseUnlock      Kind = "database-unlock"
	KindUnblinding          Kind = "unblinding"
	KindSafetyReport        Kind = "safety-report"
	KindIPEvent             Kind = "ip-event"
	KindTMFDocument         Kind = "tmf-document"
	KindAuditTrail          Kind = "audit-trail"
	KindEndorsement         Kind = "endorsement"
	KindFindingResponse     Kind = "finding-response"
	KindVerification        Kind = "verification"
	KindTransfer            Kind = "transfer"
	KindRedaction           Kind = "redaction"
	KindCloseout            Kind = "closeout"
	KindTimeMark            Kind = "time-mark"
)

// Names of the one subject of a statement that is about no file.
const (
	subjectCharter     = "charter"
	subjectStatement   = "statement"
	subjectAuditTrail  = "audit-trail"
	subjectParticipant = "participant"
)

// kindForm is what is fixed for a kind.
type kindForm struct {
	// subject names the one subject of an act that is about no file; empty
	// where the subjects are files.
	subject string
	// committed: that subject carries only a salted commitment, never the
	// file's SHA-256.
	committed bool
	// noDeclared: the act happens when it is signed, so declaredTime is not
	// required.
	noDeclared bool
	// final: the act cannot be superseded, because its effect would be unclear.
	final bool
	// site: it is about one site.
	site bool
	// reason: it says why.
	reason bool
	// bare: the body may be absent.
	bare bool
}

// kinds holds what is fixed for each kind. Unblinding, reveal, audit trail and
// verification have forms of their own: see checkSubjects.
var kinds = map[Kind]kindForm{
	KindCharter:             {subject: "sponsor-key", noDeclared: true, final: true},
	KindBaseline:            {subject: subjectCharter, noDeclared: true, final: true},
	KindKeyEnrolment:        {subject: "key", noDeclared: true, final: true},
	KindKeyRevocation:       {subject: "key", noDeclared: true, final: true},
	KindKeyRecovery:         {subject: "key", noDeclared: true, final: true},
	KindDelegation:          {subject: "delegate", noDeclared: true},
	KindRegistration:        {subject: subjectCharter},
	KindProtocol:            {bare: true},
	KindProtocolAmendment:   {},
	KindICF:                 {bare: true},
	KindEthicsDecision:      {},
	KindAuthorityDecision:   {},
	KindVersionEffective:    {subject: subjectCharter, site: true},
	KindSAP:                 {bare: true},
	KindRandomisationSeal:   {subject: "randomisation-list", committed: true},
	KindRandomisationReveal: {final: true},
	KindFirstParticipant:    {subject: subjectCharter, site: true, bare: true},
	KindLastVisit:           {subject: subjectCharter, bare: true},
	KindDataset:             {},
	KindDerivedDataset:      {},
	KindConsentManifest:     {subject: "consents", committed: true, site: true},
	KindConsentWithdrawal:   {subject: "withdrawals", committed: true, site: true},
	KindDatabaseLock:        {},
	KindDatabaseUnlock:      {subject: subjectStatement, reason: true},
	KindUnblinding:          {subject: subjectCharter, final: true},
	KindSafetyReport:        {},
	KindIPEvent:             {},
	KindTMFDocument:         {bare: true},
	KindAuditTrail:          {},
	KindEndorsement:         {subject: subjectStatement, noDeclared: true, final: true},
	KindFindingResponse:     {subject: subjectStatement, noDeclared: true},
	KindVerification:        {noDeclared: true},
	KindTransfer:            {},
	KindRedaction:           {subject: subjectStatement, noDeclared: true, final: true, reason: true},
	KindCloseout:            {subject: subjectCharter, bare: true},
	KindTimeMark:            {subject: "checkpoint", noDeclared: true, final: true},
}

// Kinds returns the kinds that this version understands, sorted.
func Kinds() []Kind {
	all := make([]Kind, 0, len(kinds))
	for k := range kinds {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// Known tells whether this version understands the kind. Statements of other
// kinds parse, so that a verifier can say "kind not understood".
func (k Kind) Known() bool {
	_, ok := kinds[k]
	return ok
}

// Authority tells whether every statement of the kind concerns who may sign: the
// charter, enrolment, revocation and recovery of keys, and delegation. See
// [AffectsAuthority] for the statements of other kinds that do.
func (k Kind) Authority() bool {
	return k == KindCharter || k == KindKeyEnrolment || k == KindKeyRevocation || k == KindKeyRecovery || k == KindDelegation
}

// Folded tells whether every statement of the kind belongs into the fold: those of
// authority, and a registration, which decides which registry numbers later
// statements may name. An endorsement belongs there by what it endorses.
func (k Kind) Folded() bool { return k.Authority() || k == KindRegistration }

// NeedsDeclaredTime tells whether a statement of the kind says when the thing
// happened, beside when it was signed.
func (k Kind) NeedsDeclaredTime() bool { f, ok := kinds[k]; return ok && !f.noDeclared }

// AboutSite tells whether a statement of the kind is always about one site.
func (k Kind) AboutSite() bool { return kinds[k].site }

// NeedsReason tells whether a statement of the kind always says why.
func (k Kind) NeedsReason() bool { return kinds[k].reason }

// FixedSubject returns the name of the one subject of a statement of the kind
// where that is fixed, and whether its digest is only a salted commitment (see
// [Commit]). It returns "" where the subjects are files. Without a subject,
// [MarshalStatement] adds one that is no commitment.
func (k Kind) FixedSubject() (name string, committed bool) {
	f := kinds[k]
	return f.subject, f.committed
}
