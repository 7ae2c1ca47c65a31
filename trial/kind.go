package trial

import "slices"

// Kind is what a statement is about.
type Kind string

// The kinds that this version understands.
const (
	KindCharter           Kind = "charter"
	KindKeyEnrolment      Kind = "key-enrolment"
	KindKeyRevocation     Kind = "key-revocation"
	KindKeyRecovery       Kind = "key-recovery"
	KindRegistration      Kind = "registration"
	KindProtocol          Kind = "protocol"
	KindProtocolAmendment Kind = "protocol-amendment"
	KindICF               Kind = "icf"
	KindEthicsDecision    Kind = "ethics-decision"
	KindDataset           Kind = "dataset"
	KindDerivedDataset    Kind = "derived-dataset"
	KindTMFDocument       Kind = "tmf-document"
	KindEndorsement       Kind = "endorsement"
	KindTimeMark          Kind = "time-mark"
)

// kinds holds what is fixed for each kind.
var kinds = map[Kind]struct {
	// subject names the one subject of an act that is about no file; empty
	// where the subjects are files.
	subject string
	// noDeclared: the act happens when it is signed, so declaredTime is not
	// required.
	noDeclared bool
	// final: the act cannot be superseded, because its effect would be unclear.
	final bool
}{
	KindCharter:           {subject: "sponsor-key", noDeclared: true, final: true},
	KindKeyEnrolment:      {subject: "key", noDeclared: true, final: true},
	KindKeyRevocation:     {subject: "key", noDeclared: true, final: true},
	KindKeyRecovery:       {subject: "key", noDeclared: true, final: true},
	KindRegistration:      {subject: "charter"},
	KindProtocol:          {},
	KindProtocolAmendment: {},
	KindICF:               {},
	KindEthicsDecision:    {},
	KindDataset:           {},
	KindDerivedDataset:    {},
	KindTMFDocument:       {},
	KindEndorsement:       {subject: "statement", noDeclared: true, final: true},
	KindTimeMark:          {subject: "checkpoint", noDeclared: true, final: true},
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

// Authority tells whether every statement of the kind concerns who may sign:
// the charter, and enrolment, revocation and recovery of keys. See
// [AffectsAuthority] for the statements of other kinds that do.
func (k Kind) Authority() bool {
	return k == KindCharter || k == KindKeyEnrolment || k == KindKeyRevocation || k == KindKeyRecovery
}

// Folded tells whether every statement of the kind belongs into the fold: those of
// authority, and a registration, which decides which registry numbers later
// statements may name. An endorsement belongs there by what it endorses.
func (k Kind) Folded() bool { return k.Authority() || k == KindRegistration }
