package trial

import "time"

// Fixed values of a statement.
const (
	StatementType = "https://in-toto.io/Statement/v1"
	PredicateType = "https://trialnotary.github.io/statement/v1"
)

// Subject is a file's digests under its name: its base name, or its relative
// path inside a folder.
type Subject struct {
	Name    string  `json:"name"`
	Digests Digests `json:"digest"`
}

// Statement is a parsed statement. It is immutable: parsing and folding share
// it.
type Statement struct {
	// ID is the SHA-256 of Payload.
	ID ID
	// Payload is what was signed, as it came.
	Payload   []byte
	Subjects  []Subject
	Predicate Predicate

	// body is the text of predicate.body inside Payload; nil without.
	body []byte
}

// Predicate is what a statement says about its subjects.
type Predicate struct {
	// Charter is the trial's id; zero in a charter and in a time mark only.
	Charter ID `json:"charter,omitzero"`
	// Trial holds the trial's registry numbers. It names nothing, but must
	// match the charter and its registrations.
	Trial Registry `json:"trial,omitempty"`
	// Site is the site that it is about; "" is trial-wide.
	Site     string    `json:"site,omitempty"`
	Kind     Kind      `json:"kind"`
	Document *Document `json:"document,omitempty"`
	Version  string    `json:"version,omitempty"`
	// Supersedes is the statement that this one replaces; zero for none. It
	// needs a Reason.
	Supersedes ID     `json:"supersedes,omitzero"`
	Reason     string `json:"reason,omitempty"`
	// Declared is when the thing happened, Signed when it was signed: both are
	// the signer's word.
	Declared *Instant `json:"declaredTime,omitempty"`
	Signed   *Instant `json:"signedTime,omitempty"`
	Signer   Signer   `json:"signer"`
	Meaning  Meaning  `json:"meaning,omitempty"`
	// Lineage holds the statements that this one derives from.
	Lineage []ID `json:"lineage,omitempty"`
	// Seen is the newest checkpoint that the signer knew: it bounds the time
	// from below.
	Seen     *TreeHead     `json:"seen,omitempty"`
	Manifest *ManifestInfo `json:"manifest,omitempty"`
	// Salt keeps anybody from guessing the statement from its commitment in the
	// public log.
	Salt [32]byte `json:"salt"`
	// Body is a pointer to the kind's body, such as *CharterBody, or a RawBody
	// where the kind is not known.
	Body any `json:"body,omitempty"`
}

// Document names a document across its versions.
type Document struct {
	ID       string `json:"id,omitempty"`
	Language string `json:"language,omitempty"` // BCP 47, such as "en" or "de-AT"
	Scope    string `json:"scope,omitempty"`    // such as a country or a cohort
}

// Instant is a moment with the zone of the clock that showed it.
type Instant struct {
	// UTC has milliseconds at most.
	UTC time.Time `json:"utc"`
	// Zone is a name of the IANA time zone database, such as "Europe/Berlin".
	// Only its shape is checked: the database changes.
	Zone string `json:"zone"`
}

// NewInstant returns a moment as a statement can hold it, cut to milliseconds.
func NewInstant(t time.Time, zone string) *Instant {
	return &Instant{UTC: t.UTC().Truncate(time.Millisecond), Zone: zone}
}

// Signer is who signs, as it is printed. Name, organisation and role must be
// those of the key's enrolment.
type Signer struct {
	KeyID        KeyID  `json:"keyId"`
	Name         string `json:"name"`
	Role         Role   `json:"role"`
	Organisation string `json:"organisation"`
}

// Meaning is what the signature means (21 CFR 11.50).
type Meaning string

// The meanings.
const (
	MeaningAuthorship      Meaning = "authorship"
	MeaningReview          Meaning = "review"
	MeaningApproval        Meaning = "approval"
	MeaningResponsibility  Meaning = "responsibility"
	MeaningVerification    Meaning = "verification"
	MeaningCertifiedCopy   Meaning = "certified-copy"
	MeaningAcknowledgement Meaning = "acknowledgement"
)

// TreeHead is a checkpoint without its signatures.
type TreeHead struct {
	Origin string   `json:"origin"`
	Size   uint64   `json:"size"`
	Root   [32]byte `json:"root"` // base64 in JSON
}

// ManifestInfo says how many files a manifest's root covers: a root does not
// commit to that itself.
type ManifestInfo struct {
	Files uint64 `json:"files"`
}

// RawBody is the text of a body that this version does not understand.
type RawBody []byte
