package trial

import "time"

// DelegationBody lets another organisation act for the trial in what it lists;
// the sponsor's key signs.
type DelegationBody struct {
	From        string   `json:"from"`
	To          string   `json:"to"`
	Obligations []string `json:"obligations"`
	// Keys are the delegate's enrolled keys that it concerns.
	Keys []KeyID `json:"keys,omitempty"`
	// Begins and Ends bound it by log time: Begins is inside, Ends is not. A nil
	// Ends is without bound.
	Begins time.Time  `json:"begins"`
	Ends   *time.Time `json:"ends,omitempty"`
}

// ObligationKeyEnrolment is the obligation that lets a delegate's keys enrol.
const ObligationKeyEnrolment = "key-enrolment"

// BaselineDocument is a version that was in force before the trial came to the
// notary. Sites are where it is effective; none is trial-wide.
type BaselineDocument struct {
	Kind     Kind      `json:"kind"` // protocol, protocol-amendment, icf or sap
	Document *Document `json:"document,omitempty"`
	Version  string    `json:"version"`
	Sites    []string  `json:"sites,omitempty"`
}

// BaselineSite is a site that had participants already.
type BaselineSite struct {
	Site  string `json:"site"`
	First string `json:"first"` // date of the first participant, 2026-01-02
}

// BaselineLock is a lock that was in effect already.
type BaselineLock struct {
	Label string   `json:"label"`
	Type  LockType `json:"type"`
	Date  string   `json:"date"`
}

// BaselineBody is the state of a trial that was under way when it began to
// notarize: the rules judge what follows.
type BaselineBody struct {
	AsOf         string             `json:"asOf"` // 2026-01-02
	Documents    []BaselineDocument `json:"documents,omitempty"`
	Participants []BaselineSite     `json:"participants,omitempty"`
	Sealed       []Commitment       `json:"sealed,omitempty"` // of randomisation lists
	Locks        []BaselineLock     `json:"locks,omitempty"`
	Unblinded    bool               `json:"unblinded,omitzero"`
	Registered   bool               `json:"registered,omitzero"`
}

// Severity is how grave a finding is.
type Severity string

// The severities.
const (
	SeverityCritical Severity = "critical"
	SeverityMajor    Severity = "major"
	SeverityMinor    Severity = "minor"
)

// OwnRule is a rule that the sponsor adds in the charter. Package trial checks
// its form only; When and Expression are CEL.
type OwnRule struct {
	ID         string   `json:"id"`
	Title      string   `json:"title"`
	Clauses    []string `json:"clauses,omitempty"`
	Severity   Severity `json:"severity"`
	Trigger    []Kind   `json:"trigger"`
	When       string   `json:"when,omitempty"`
	Expression string   `json:"expression"` // true: the rule is kept
	Message    string   `json:"message"`
}

// TransferWhat is what passes from one organisation to another.
type TransferWhat string

// What is transferred.
const (
	TransferSponsorship TransferWhat = "sponsorship"
	TransferTMF         TransferWhat = "tmf"
	TransferData        TransferWhat = "data"
	TransferOther       TransferWhat = "other"
)

// TransferBody documents that ownership passes.
type TransferBody struct {
	From string       `json:"from"`
	To   string       `json:"to"`
	Date string       `json:"date"`
	What TransferWhat `json:"what"`
}

// RedactionBody names a statement whose body is taken out of the notary.
type RedactionBody struct {
	Statement  ID     `json:"statement"`
	LegalBasis string `json:"legalBasis"`
}

// CloseoutBody closes a site, or the trial where predicate.site is absent.
type CloseoutBody struct{}

// FindingResponseBody answers a finding: a rule on a statement.
type FindingResponseBody struct {
	Rule      string `json:"rule"`
	Statement ID     `json:"statement"`
	Cause     string `json:"cause"`
	CAPA      string `json:"capa,omitempty"` // reference of the corrective and preventive action
}

// Verdict is what a comparison of a file with what was notarized came to.
type Verdict string

// The verdicts of a verification.
const (
	VerdictIdentical     Verdict = "identical"
	VerdictSameData      Verdict = "same-data"
	VerdictDataDiffer    Verdict = "data-differ"
	VerdictNotComparable Verdict = "not-comparable"
	VerdictNotNotarized  Verdict = "not-notarized"
)

// VerificationBody records that somebody checked files, such as an inspector.
type VerificationBody struct {
	Statements []ID    `json:"statements,omitempty"` // what they were compared with
	Verdict    Verdict `json:"verdict"`
	Note       string  `json:"note,omitempty"`
}
