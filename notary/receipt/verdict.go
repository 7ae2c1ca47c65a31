package receipt

import (
	"time"

	"github.com/trialnotary/trialnotary/trial"
)

// CheckName names one check of a verdict. Names are part of the command-line
// contract and of the test cases in clients/testdata: none is ever renamed.
type CheckName string

// The checks of a verdict, in the order in which they are reported.
const (
	CheckFileDigest       CheckName = "file-digest"
	CheckStatementForm    CheckName = "statement-form"
	CheckKind             CheckName = "kind"
	CheckSignature        CheckName = "statement-signature"
	CheckCharter          CheckName = "charter"
	CheckKeyEnrolled      CheckName = "key-enrolled"
	CheckKeyNotRevoked    CheckName = "key-not-revoked"
	CheckValidityPeriod   CheckName = "validity-period"
	CheckEntry            CheckName = "entry"
	CheckIndexes          CheckName = "indexes"
	CheckSizeAndRoot      CheckName = "checkpoint-size-and-root"
	CheckInclusion        CheckName = "inclusion"
	CheckCheckpointSigned CheckName = "checkpoint-signature"
	CheckWitnessPolicy    CheckName = "witness-policy"
	CheckLogTime          CheckName = "log-time"
)

var checkOrder = [...]CheckName{
	CheckFileDigest, CheckStatementForm, CheckKind, CheckSignature, CheckCharter, CheckKeyEnrolled, CheckKeyNotRevoked,
	CheckValidityPeriod, CheckEntry, CheckIndexes, CheckSizeAndRoot, CheckInclusion, CheckCheckpointSigned,
	CheckWitnessPolicy, CheckLogTime,
}

// causeOrder is the order in which a failed check explains the others: an
// authority receipt under a wrong log key fails because of that key.
var causeOrder = []CheckName{
	CheckFileDigest, CheckStatementForm, CheckKind, CheckSignature, CheckEntry, CheckIndexes, CheckSizeAndRoot,
	CheckCheckpointSigned, CheckInclusion, CheckWitnessPolicy, CheckCharter, CheckKeyEnrolled, CheckKeyNotRevoked,
	CheckValidityPeriod, CheckLogTime,
}

// Outcome is how one check ended.
type Outcome string

// The outcomes of a check. One failed check makes the verdict negative; what
// was not checked does not.
const (
	Passed     Outcome = "passed"
	Failed     Outcome = "failed"
	NotChecked Outcome = "not-checked"
)

// Check is one check of a verdict, with what was found in plain words.
type Check struct {
	Name    CheckName `json:"name"`
	Outcome Outcome   `json:"outcome"`
	Detail  string    `json:"detail"`
}

// File is a file to verify, hashed by the caller.
type File struct {
	// Name is the base name, or the path inside a notarized folder, with
	// forward slashes.
	Name   string
	SHA256 [32]byte
	// Table is the content digest tn-table-v1 of the table that the file holds,
	// computed by the caller like SHA256; nil where it has none. It is looked at
	// only where SHA256 is another than was notarized.
	Table *[32]byte
	// Audit is tn-audit-v1, the root over the audit records that the file has of the
	// day that the statement is about, computed and looked at like Table; nil where
	// it has none.
	Audit *[32]byte
	// Commitment is that to the file under the salt of a randomisation-reveal,
	// computed by the caller like SHA256; nil where it was not. With another one than
	// the statement's, the file is not the list that was sealed.
	Commitment *trial.Commitment
	Size       uint64
	// Proof shows the file in a manifest; nil where the statement lists its
	// files itself.
	Proof *trial.ManifestProof
}

// FileOutcome is the verdict on one file.
type FileOutcome string

// The verdicts on a file. The first two are positive. SameData and DataDiffer
// need a content digest on both sides; without one a file that differs is
// NotComparable.
const (
	Identical     FileOutcome = "identical"
	SameData      FileOutcome = "same data, different file"
	DataDiffer    FileOutcome = "data differ"
	NotComparable FileOutcome = "file differs, contents not comparable"
	NotNotarized  FileOutcome = "not notarized"
)

// Holds tells whether the verdict is that nothing was changed that counts: the
// bytes, or all that the table says.
func (o FileOutcome) Holds() bool { return o == Identical || o == SameData }

// FileResult is the verdict on one file, with what was found in plain words.
type FileResult struct {
	Name    string      `json:"name"`
	Outcome FileOutcome `json:"outcome"`
	Detail  string      `json:"detail"`
}

// Signer is who signed, as the enrolment says, never as the statement says.
type Signer struct {
	KeyID        trial.KeyID `json:"keyId"`
	HolderID     string      `json:"holderId,omitzero"`
	Name         string      `json:"name,omitzero"`
	Organisation string      `json:"organisation,omitzero"`
	// OrganisationType tells a site's own people from a sponsor's or a vendor's,
	// whatever the organisation is called.
	OrganisationType trial.OrganisationType `json:"organisationType,omitzero"`
	Roles            []trial.Role           `json:"roles,omitzero"`
	// Since is the log index from which the key may sign.
	Since uint64 `json:"since"`
}

// Of returns the organisation with its type, such as "North Clinic (site)".
func (s *Signer) Of() string {
	if s.OrganisationType == "" {
		return s.Organisation
	}
	return s.Organisation + " (" + string(s.OrganisationType) + ")"
}

// Verdict is the outcome of a verification.
type Verdict struct {
	// Verified tells that no check failed and that the signer is proven.
	Verified bool
	// Summary is one sentence for a person.
	Summary string
	// Checks holds every check once, in the order of their declaration.
	Checks []Check
	// Files holds one result a file given, in their order.
	Files []FileResult
	// Missing names what the statement lists and the caller did not give.
	Missing []string
	// Statement is what was signed, or nil where it could not be read.
	Statement *trial.Statement
	// Signer is who signed, or nil where that is unproven.
	Signer *Signer
	// Index is the statement's place in the log.
	Index uint64
	// LogTime is the time of the last time mark before the entry, a lower
	// bound, or zero where it is not known.
	LogTime time.Time
	// WitnessTime is when the quorum's witnesses had seen the checkpoint, an
	// upper bound, or zero without witnesses.
	WitnessTime time.Time
	// AuthorityUpTo is the log size up to which enrolments and revocations are
	// known, by the notary's signed list; zero without one.
	AuthorityUpTo uint64
}

// Check returns the check of that name.
func (v *Verdict) Check(name CheckName) Check {
	for _, c := range v.Checks {
		if c.Name == name {
			return c
		}
	}
	return Check{Name: name, Outcome: NotChecked}
}
