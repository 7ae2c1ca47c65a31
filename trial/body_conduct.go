package trial

import "time"

// SAPBody is a statistical analysis plan's. Every field may be absent.
type SAPBody struct {
	Title string `json:"title,omitempty"`
}

// AuthorityDecisionBody is a competent authority's decision.
type AuthorityDecisionBody struct {
	Authority string         `json:"authority"`
	Country   string         `json:"country"` // ISO 3166-1 alpha-2
	Reference string         `json:"reference,omitempty"`
	Decision  EthicsDecision `json:"decision"`
	Date      string         `json:"date"` // 2026-01-02, local to the authority
	// Approves holds the statements decided on.
	Approves  []ID          `json:"approves,omitempty"`
	Documents []DocumentRef `json:"documents,omitempty"`
}

// Exemption is why a version needs no favourable decision before it is used.
type Exemption string

// The exemptions.
const (
	ExemptNoApproval Exemption = "no-approval-needed"
	ExemptUrgent     Exemption = "urgent-safety-measure"
)

// VersionEffectiveBody says that versions are used at a site from a day on.
type VersionEffectiveBody struct {
	// Statements are the protocol, amendment and consent form versions.
	Statements []ID `json:"statements"`
	// Date is local to the site; absent, it is the declared time's in UTC.
	Date string `json:"date,omitempty"`
	// Activation: the site begins with these.
	Activation bool      `json:"activation,omitzero"`
	Exempt     Exemption `json:"exempt,omitempty"`
}

// CommitmentScheme is how every commitment is made: see [Commit].
const CommitmentScheme = "sha256(salt||file)"

// SealBody commits to a randomisation list, which nobody sees yet.
type SealBody struct {
	Scheme string `json:"scheme"` // CommitmentScheme
}

// RevealBody opens a seal: its subject is the file, whose commitment under the
// salt is that of the seal.
type RevealBody struct {
	Seal ID       `json:"seal"`
	Salt [32]byte `json:"salt"` // base64 in JSON
}

// FirstParticipantBody marks a site's first participant.
type FirstParticipantBody struct {
	ICF ID `json:"icf,omitzero"` // the consent form that was signed
}

// LastVisitBody marks the last visit of the last participant, of a site or of the
// trial where predicate.site is absent.
type LastVisitBody struct{}

// ConsentManifestBody counts the consents of a site. No participant is named:
// the list stays at the site, and the subject is a commitment to it.
type ConsentManifestBody struct {
	ICF      ID     `json:"icf,omitzero"` // the version that was signed
	Consents uint64 `json:"consents"`
	Cutoff   string `json:"cutoff"` // 2026-01-02
}

// WithdrawalScope is which data a withdrawn consent still covers.
type WithdrawalScope string

// The scopes of a withdrawal.
const (
	WithdrawnAllData    WithdrawalScope = "all-data"
	WithdrawnFutureData WithdrawalScope = "future-data"
)

// ConsentWithdrawalBody counts withdrawn consents. No participant is named.
type ConsentWithdrawalBody struct {
	Withdrawn uint64          `json:"withdrawn"`
	Date      string          `json:"date"`
	Scope     WithdrawalScope `json:"scope"`
}

// LockType is how firm a database lock is.
type LockType string

// The types of locks. An interim lock is a snapshot and locks nothing.
const (
	LockInterim LockType = "interim"
	LockSoft    LockType = "soft"
	LockFinal   LockType = "final"
)

// DataScope is the part of the data that a lock or an unlock concerns: the terms
// that are there hold together, an absent one is all.
type DataScope struct {
	Sites    []string `json:"sites,omitempty"`
	Datasets []string `json:"datasets,omitempty"`
}

// LockBody locks data. Its files are the lock's manifest.
type LockBody struct {
	Label   string    `json:"label"`
	Type    LockType  `json:"type"`
	Scope   DataScope `json:"scope,omitzero"`
	Members []ID      `json:"members"` // the dataset statements that it locks
}

// UnlockBody opens a lock for a part of the data; predicate.reason says why.
type UnlockBody struct {
	Lock  ID        `json:"lock"`
	Scope DataScope `json:"scope,omitzero"`
}

// UnblindingScope is who is unblinded.
type UnblindingScope string

// The scopes of an unblinding.
const (
	UnblindTrial       UnblindingScope = "trial"
	UnblindParticipant UnblindingScope = "participant"
)

// UnblindingBody records that treatment was disclosed. The subject of one
// participant's is a commitment to the participant's id.
type UnblindingBody struct {
	Scope     UnblindingScope `json:"scope"`
	Emergency bool            `json:"emergency,omitzero"`
	// Recipient is the organisation or holder id that learned it, such as a data
	// monitoring committee that the charter names.
	Recipient string `json:"recipient,omitempty"`
}

// SafetyReportType is the type of a safety report.
type SafetyReportType string

// The types of safety reports.
const (
	SafetySUSAR SafetyReportType = "susar"
	SafetySAE   SafetyReportType = "sae"
	SafetyDSUR  SafetyReportType = "dsur"
	SafetyUSM   SafetyReportType = "usm" // urgent safety measure
	SafetyOther SafetyReportType = "other"
)

// SafetyReportBody is a safety report's.
type SafetyReportBody struct {
	Type      SafetyReportType `json:"type"`
	Received  string           `json:"received"` // when the sponsor or site learned of it, 2026-01-02
	Country   string           `json:"country,omitempty"`
	Reference string           `json:"reference,omitempty"`
}

// IPEvent is what happened to an investigational product.
type IPEvent string

// The events of a product.
const (
	IPShipment    IPEvent = "shipment"
	IPReceipt     IPEvent = "receipt"
	IPDispensing  IPEvent = "dispensing"
	IPReturn      IPEvent = "return"
	IPDestruction IPEvent = "destruction"
)

// IPEventBody is one step in the custody of an investigational product; its
// files are the EPCIS document. See [Custody].
type IPEventBody struct {
	Event   IPEvent `json:"event"`
	EventID string  `json:"eventId,omitempty"` // of the EPCIS event
	// Items are EPC URIs, GS1 Digital Link URIs, SSCCs, or commitments to lots
	// whose number could unblind, in hexadecimal.
	Items []string `json:"items"`
	// Source and Destination are GLNs or ids of sites.
	Source      string     `json:"source,omitempty"`
	Destination string     `json:"destination,omitempty"`
	Time        *time.Time `json:"time,omitempty"` // of the EPCIS event
}

// AuditTrailBody is a day of a system's audit trail: its subject "audit-trail" is
// the root over the day's records.
type AuditTrailBody struct {
	Date         string `json:"date"`
	Records      uint64 `json:"records"`
	SourceSystem string `json:"sourceSystem"`
}
