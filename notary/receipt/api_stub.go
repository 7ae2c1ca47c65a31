package receipt

import (
	"crypto/ed25519"

	"golang.org/x/mod/sumdb/note"

	"github.com/trialnotary/trialnotary/trial"
)

// LogKey is a key of a log, in the C2SP verifier key form. The first key of a
// log is Ed25519.
type LogKey struct{ origin, vkey string }

// NewLogKey makes the verifier key of an Ed25519 log. The origin must be a bare
// host name.
func NewLogKey(origin string, key ed25519.PublicKey) (LogKey, error) { panic("") }

// ParseLogKey reads a verifier key, NAME+HASH+KEY, without newline.
func ParseLogKey(vkey string) (LogKey, error) { panic("") }

// Origin returns the log's name.
func (k LogKey) Origin() string { panic("") }

// VKey returns the C2SP form NAME+HASH+KEY.
func (k LogKey) VKey() string { panic("") }

// ID returns the full SHA-256(origin ‖ LF ‖ type ‖ key).
func (k LogKey) ID() [32]byte { panic("") }

// Verifier verifies the key's line of a checkpoint.
func (k LogKey) Verifier() note.Verifier { panic("") }

// Entry returns the log entry of a statement: a Rekor hashedrekord 0.0.2 in
// canonical JSON.
func Entry(e *trial.Envelope, key *trial.PublicKey) []byte { panic("") }

// LeafHash returns the RFC 6962 leaf hash of an entry.
func LeafHash(entry []byte) Hash { panic("") }

// ParseCheckpoint reads a checkpoint without verifying any signature.
func ParseCheckpoint(signed []byte) (Checkpoint, error) { panic("") }

// OpenCheckpoint reads a checkpoint and verifies that every one of the keys,
// which are of one origin, signed it.
func OpenCheckpoint(signed []byte, keys ...LogKey) (Checkpoint, error) { panic("") }

// Build returns the receipt of a logged statement as JSON text. It verifies
// nothing.
func Build(e *trial.Envelope, key *trial.PublicKey, inc Inclusion, entry []byte, logKey LogKey) ([]byte, error) {
	panic("")
}

// Receipt is a parsed receipt. Nothing in it is verified.
type Receipt struct {
	Envelope   *trial.Envelope
	KeyHint    string
	LogID      [32]byte
	Entry      []byte
	OuterIndex uint64
	Index      uint64
	Size       uint64
	Root       Hash
	Path       []Hash
	Checkpoint Checkpoint
	raw        []byte
}

// Parse reads a receipt in its one spelling.
func Parse(bundle []byte) (*Receipt, error) { panic("") }

// Bytes returns the receipt's text. It must not be changed.
func (r *Receipt) Bytes() []byte { return r.raw }

// Key returns the public key that stands in the entry.
func (r *Receipt) Key() (*trial.PublicKey, error) { panic("") }

// Evidence is what stands beside a receipt: the trial's authority statements,
// the time marks that govern them and the receipt, and the notary's list.
type Evidence struct {
	Authority []*Receipt
	TimeMarks []*Receipt
	AsOf      *trial.Envelope
}

// BuildEvidence returns an evidence file as JSON text. The receipts must come
// in log order without duplicates; asOf may be nil. It verifies nothing.
func BuildEvidence(authority, timeMarks [][]byte, asOf *trial.Envelope) ([]byte, error) { panic("") }

// ParseEvidence reads an evidence file in its one spelling.
func ParseEvidence(text []byte) (*Evidence, error) { panic("") }

// Policy is a parsed C2SP tlog-policy.
type Policy struct{}

// ParsePolicy reads a policy. A missing quorum is an error.
func ParsePolicy(text []byte) (*Policy, error) { panic("") }

// Trust is a trial's trust folder.
type Trust struct {
	LogKeys []LogKey // Ed25519 first
	Policy  *Policy
	Notary  *trial.PublicKey
	Sponsor *trial.PublicKey
	Charter trial.ID
}

// NewTrust returns a trust folder that holds anchors alone.
func NewTrust(logKey LogKey, policy []byte, notary, sponsor *trial.PublicKey, charter trial.ID) (*Trust, error) {
	panic("")
}

// AddAuthority adds the receipt of an authority statement with its time marks
// (an evidence file, or nil), in log order.
func (t *Trust) AddAuthority(receipt, evidence []byte) error { panic("") }

// SetAsOf sets the notary's signed list of authority statements.
func (t *Trust) SetAsOf(asOf *trial.Envelope) { panic("") }

// ParseTrust reads a trust folder from its files by their paths inside it.
func ParseTrust(files map[string][]byte) (*Trust, error) { panic("") }

// Files returns the folder's files by their paths inside it.
func (t *Trust) Files() map[string][]byte { panic("") }

// Fingerprint returns 64 lowercase hexadecimal characters that cover the
// anchors alone, to be compared by another channel.
func (t *Trust) Fingerprint() string { panic("") }

// Verifier verifies many receipts against one trust folder. It remembers what
// it verified, which changes no verdict. It is safe for concurrent use.
type Verifier struct{}

// NewVerifier returns a Verifier for a trust folder.
func NewVerifier(t *Trust) *Verifier { panic("") }

// Verify judges a receipt; ev may be nil.
func (v *Verifier) Verify(r *Receipt, ev *Evidence, files []File) *Verdict { panic("") }

// Verify judges one receipt; ev may be nil.
func Verify(r *Receipt, ev *Evidence, t *Trust, files []File) *Verdict { panic("") }

// LogVerifier checks receipts against a log's keys alone: it is the service's
// check of what it hands out. It is safe for concurrent use.
type LogVerifier struct{}

// NewLogVerifier returns a LogVerifier for the keys of one log.
func NewLogVerifier(keys ...LogKey) (*LogVerifier, error) { panic("") }

// SelfCheck verifies that bundle is the receipt of exactly this envelope: its
// form, the entry rebuilt, indexes, size, root, inclusion and the checkpoint's
// signature. It does not verify the envelope's signature again: admission did.
func (v *LogVerifier) SelfCheck(bundle []byte, e *trial.Envelope, key *trial.PublicKey) error {
	panic("")
}

// ExportTlogProof returns the receipt's proof as a C2SP tlog-proof. The extra
// data is the DSSE envelope, from which the entry is rebuilt with the key.
func ExportTlogProof(r *Receipt) []byte { panic("") }

// TlogProof is a parsed C2SP tlog-proof.
type TlogProof struct {
	Extra      []byte
	Index      uint64
	Path       []Hash
	Checkpoint Checkpoint
}

// ParseTlogProof reads a C2SP tlog-proof in its one spelling.
func ParseTlogProof(text []byte) (*TlogProof, error) { panic("") }
