package trial

import "time"

// HolderType tells persons from systems.
type HolderType string

// The types of key holders.
const (
	HolderPerson HolderType = "person"
	HolderSystem HolderType = "system"
)

// OrganisationType tells what an organisation is to the trial.
type OrganisationType string

// The types of organisations.
const (
	OrganisationSponsor OrganisationType = "sponsor"
	OrganisationSite    OrganisationType = "site"
	OrganisationCRO     OrganisationType = "cro"
	OrganisationVendor  OrganisationType = "vendor"
)

// BlindingGuard says what happens to a file that seems to hold treatment
// assignments.
type BlindingGuard string

// The settings of the blinding guard. An absent one is BlindingWarn.
const (
	BlindingOff    BlindingGuard = "off"
	BlindingWarn   BlindingGuard = "warn"
	BlindingRefuse BlindingGuard = "refuse"
)

// Site is a site of the trial. Its ID is the sponsor's.
type Site struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Country string `json:"country,omitempty"` // ISO 3166-1 alpha-2
	GLN     string `json:"gln,omitempty"`     // GS1 Global Location Number
}

// CharterBody opens a trial.
type CharterBody struct {
	SponsorKey *PublicKey `json:"sponsorKey"`
	// SponsorProof and RecoveryProof are signatures of the two keys over the
	// body without them: see [SignPossession].
	SponsorProof        []byte           `json:"sponsorProof,omitempty"`
	RecoveryKey         *PublicKey       `json:"recoveryKey"`
	RecoveryProof       []byte           `json:"recoveryProof,omitempty"`
	SponsorOrganisation string           `json:"sponsorOrganisation"`
	Sites               []Site           `json:"sites"`
	RulePack            string           `json:"rulePack,omitempty"` // SHA-256, 64 lowercase hexadecimal characters
	Parameters          map[string]int64 `json:"parameters,omitempty"`
	// Endorsements holds the roles whose endorsement an act of a kind needs, for
	// the kinds that differ from [DefaultEndorsements]. An empty list: none.
	Endorsements map[Kind][]Role `json:"endorsements,omitempty"`
	// Roles are this trial's, beside the closed list.
	Roles             []Role        `json:"roles,omitempty"`
	RandomisationList bool          `json:"randomisationList,omitzero"`
	BlindingGuard     BlindingGuard `json:"blindingGuard,omitempty"`
	// Rules are the sponsor's own, beside the pack's.
	Rules []OwnRule `json:"rules,omitempty"`
	// UnblindingExempt are the organisations or holder ids of a data monitoring
	// committee and of an independent statistician, who are unblinded by design.
	UnblindingExempt []string `json:"unblindingExempt,omitempty"`
}

// EnrolmentBody lets a key sign. The key's holder signs it too: see
// [SignPossession].
type EnrolmentBody struct {
	HolderID         string           `json:"holderId"`
	Holder           HolderType       `json:"holder"`
	Name             string           `json:"name"`
	ORCID            string           `json:"orcid,omitempty"`
	Organisation     string           `json:"organisation"`
	OrganisationType OrganisationType `json:"organisationType"`
	Roles            []Role           `json:"roles"`
	// AllSites lets it sign for every site and trial-wide; else Sites lists the
	// sites it signs for.
	AllSites bool     `json:"allSites,omitzero"`
	Sites    []string `json:"sites,omitempty"`
	Kinds    []Kind   `json:"kinds"`
	// From and Until bound its validity by log time: From is inside, Until is
	// not. nil is without bound.
	From  *time.Time `json:"from,omitempty"`
	Until *time.Time `json:"until,omitempty"`
	Key   *PublicKey `json:"key"`
	Proof []byte     `json:"proof,omitempty"`
}

// RevocationCause is why a key is revoked.
type RevocationCause string

// The causes of a revocation.
const (
	CauseCompromised RevocationCause = "compromised"
	CauseLost        RevocationCause = "lost"
	CauseSuperseded  RevocationCause = "superseded"
	CauseLeft        RevocationCause = "left"
	CauseError       RevocationCause = "error"
)

// RevocationBody ends a key's authority from the statement's index on.
type RevocationBody struct {
	Key   KeyID           `json:"key"`
	Cause RevocationCause `json:"cause"`
	// SuspectSince is the log index from which the key is suspect; nil for
	// none.
	SuspectSince *uint64 `json:"suspectSince,omitempty"`
}

// RecoveryBody replaces the sponsor's key; the recovery key signs it.
type RecoveryBody struct {
	NewKey *PublicKey `json:"newKey"`
	Proof  []byte     `json:"proof,omitempty"`
	// LastTrustedIndex is the last log index at which the replaced key is
	// trusted.
	LastTrustedIndex uint64 `json:"lastTrustedIndex"`
	// Confirmed holds the later authority statements that stand; the others are
	// void.
	Confirmed []ID `json:"confirmed,omitempty"`
}

// RegistrationBody claims a registry number for the trial. predicate.trial holds
// the number too.
type RegistrationBody struct {
	Registry string `json:"registry"` // a name of [Registry]
	Number   string `json:"number"`
	Date     string `json:"date,omitempty"` // 2026-01-02
}

// DecisionEndorsed is the decision of every endorsement.
const DecisionEndorsed = "endorsed"

// EndorsementBody is a second person's signature under a logged statement.
type EndorsementBody struct {
	Statement ID     `json:"statement"`
	Decision  string `json:"decision"`
}

// TimeMarkBody is the notary's clock and the checkpoint that it follows. An
// empty tree is allowed.
type TimeMarkBody struct {
	Origin string    `json:"origin"`
	Time   time.Time `json:"time"` // UTC, milliseconds at most
	Size   uint64    `json:"size"`
	Root   [32]byte  `json:"root"` // base64 in JSON
}

// ProtocolBody is a protocol's. Every field may be absent.
type ProtocolBody struct {
	Title     string   `json:"title,omitempty"`
	Countries []string `json:"countries,omitempty"` // ISO 3166-1 alpha-2
}

// AmendmentType is an amendment's weight.
type AmendmentType string

// The types of amendments.
const (
	AmendmentSubstantial    AmendmentType = "substantial"
	AmendmentNonSubstantial AmendmentType = "non-substantial"
	AmendmentUrgent         AmendmentType = "urgent" // an urgent safety measure
)

// AmendmentBody is a protocol amendment's.
type AmendmentBody struct {
	Type      AmendmentType `json:"type"`
	Title     string        `json:"title,omitempty"`
	Countries []string      `json:"countries,omitempty"` // ISO 3166-1 alpha-2; absent: all
}

// ICFBody is an informed consent form's. Every field may be absent.
type ICFBody struct {
	Title     string   `json:"title,omitempty"`
	Protocol  ID       `json:"protocol,omitzero"` // the protocol version it belongs to
	Countries []string `json:"countries,omitempty"`
}

// EthicsDecision is what a committee decided.
type EthicsDecision string

// The decisions of ethics committees.
const (
	EthicsFavourable     EthicsDecision = "favourable"
	EthicsConditional    EthicsDecision = "favourable-with-conditions"
	EthicsUnfavourable   EthicsDecision = "unfavourable"
	EthicsAcknowledged   EthicsDecision = "acknowledged"
	EthicsNotRequired    EthicsDecision = "no-approval-needed"
	EthicsWithdrawn      EthicsDecision = "withdrawn"
	EthicsRequestsChange EthicsDecision = "changes-requested"
)

// DocumentRef names a document's version that is not notarized.
type DocumentRef struct {
	ID      string `json:"id"`
	Version string `json:"version"`
}

// EthicsDecisionBody is a committee's decision.
type EthicsDecisionBody struct {
	Committee string         `json:"committee"`
	Reference string         `json:"reference,omitempty"`
	Decision  EthicsDecision `json:"decision"`
	Date      string         `json:"date"` // 2026-01-02, local to the site
	// Approves holds the statements decided on.
	Approves  []ID          `json:"approves,omitempty"`
	Documents []DocumentRef `json:"documents,omitempty"`
}

// DataOrigin is where data arose.
type DataOrigin string

// The origins of data.
const (
	OriginSite    DataOrigin = "site"
	OriginEDC     DataOrigin = "edc"
	OriginLab     DataOrigin = "lab"
	OriginEPRO    DataOrigin = "epro"
	OriginIRT     DataOrigin = "irt"
	OriginSponsor DataOrigin = "sponsor"
)

// DataPurpose is what data are extracted for.
type DataPurpose string

// The purposes of data.
const (
	PurposeRoutine    DataPurpose = "routine"
	PurposeInterim    DataPurpose = "interim"
	PurposeDMC        DataPurpose = "dmc"
	PurposeLock       DataPurpose = "lock"
	PurposeSubmission DataPurpose = "submission"
)

// DataBody is a dataset's or a derived dataset's.
type DataBody struct {
	Origin       DataOrigin        `json:"origin"`
	Purpose      DataPurpose       `json:"purpose"`
	Dataset      string            `json:"dataset,omitempty"` // such as "DM" or "ADSL"
	SourceSystem string            `json:"sourceSystem,omitempty"`
	ExtractTime  *time.Time        `json:"extractTime,omitempty"` // UTC, milliseconds at most
	Cutoff       string            `json:"cutoff,omitempty"`      // 2026-01-02
	Dictionaries map[string]string `json:"dictionaries,omitempty"`
	Migration    bool              `json:"migration,omitzero"` // a declared backfill
	Final        bool              `json:"final,omitzero"`     // for the final analysis
	// Encoding of the text of the SAS transport files, as it was read for their
	// content digests: the IANA name in lower case. Empty means UTF-8.
	Encoding string `json:"encoding,omitempty"`
}

// TMFBody is a trial master file document's. Every field may be absent.
type TMFBody struct {
	Artifact string `json:"artifact,omitempty"` // TMF Reference Model number, such as "02.01.02"
	Title    string `json:"title,omitempty"`
	Date     string `json:"date,omitempty"` // of the document, 2026-01-02
}
