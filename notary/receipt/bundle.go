package receipt

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/b64"
)

// MaxReceipt is the size limit of a receipt, in bytes: an envelope at its own
// limit, an entry and a checkpoint.
const MaxReceipt = trial.MaxEnvelope + 512<<10

// maxPath is the longest inclusion proof of a tree below 2^63 entries.
const maxPath = 63

// MediaType is the media type of a receipt.
const MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// The receipt's text, in pieces between what varies. The order is that of the
// protobuf's field numbers; integratedTime and inclusionPromise are absent, as
// in every Rekor v2 bundle.
const (
	bundleHead       = `{"mediaType":"` + MediaType + `","verificationMaterial":{"publicKey":{"hint":"`
	bundleOuterIndex = `"},"tlogEntries":[{"logIndex":"`
	bundleLogID      = `","logId":{"keyId":"`
	bundleProofIndex = `"},"kindVersion":{"kind":"hashedrekord","version":"0.0.2"},"inclusionProof":{"logIndex":"`
	bundleRoot       = `","rootHash":"`
	bundleSize       = `","treeSize":"`
	bundleHashes     = `","hashes":[`
	bundleCheckpoint = `],"checkpoint":{"envelope":`
	bundleBody       = `}},"canonicalizedBody":"`
	bundleEnvelope   = `"}]},"dsseEnvelope":`
	bundleTail       = `}`
)

// Receipt is a parsed receipt. Nothing in it is verified.
type Receipt struct {
	// Envelope is what was signed. Its unsigned KeyID is empty in a receipt.
	Envelope *trial.Envelope
	// KeyHint is the key id of the signer, in hexadecimal.
	KeyHint string
	// LogID is the id of the log's first key, see LogKey.ID.
	LogID [32]byte
	// Entry is the log entry, byte for byte.
	Entry []byte
	// OuterIndex and Index are the two places where a bundle has the entry's
	// index. They must be equal.
	OuterIndex uint64
	Index      uint64
	// Size and Root repeat the checkpoint's and must be equal to them.
	Size       uint64
	Root       Hash
	Path       []Hash
	Checkpoint Checkpoint

	raw       []byte
	statement *statementMemo // of a parsed receipt
}

// statementMemo is the statement of a payload, parsed once.
type statementMemo struct {
	once      sync.Once
	payload   []byte
	statement *trial.Statement
	err       error
}

// Build returns the receipt of a logged statement as JSON text: a Sigstore
// bundle v0.3 in the one spelling that Parse accepts. The entry must be
// Entry(e, key). It verifies nothing.
func Build(e *trial.Envelope, key *trial.PublicKey, inc Inclusion, entry []byte, logKey LogKey) ([]byte, error) {
	r, err := newReceipt(e, key, inc, entry, logKey)
	if err != nil {
		return nil, err
	}
	return r.raw, nil
}

// newReceipt makes the receipt that Parse would read from the text of Build.
func newReceipt(e *trial.Envelope, key *trial.PublicKey, inc Inclusion, entry []byte, logKey LogKey) (*Receipt, error) {
	if inc.Index >= inc.Checkpoint.Size || inc.Checkpoint.Size > maxTreeSize {
		return nil, fmt.Errorf("invalid inclusion: index %d is not below the tree size %d", inc.Index, inc.Checkpoint.Size)
	}
	if len(inc.Path) > maxPath {
		return nil, fmt.Errorf("invalid inclusion: got %d hashes, want at most %d", len(inc.Path), maxPath)
	}
	// Without the envelope's keyid, which is unsigned: sigstore-go v1.3.0
	// computes key ids its own way and finds no signature under ours.
	bare := *e
	bare.KeyID = ""
	r := &Receipt{
		Envelope: &bare, KeyHint: key.ID.String(), LogID: logKey.ID(), Entry: entry,
		OuterIndex: inc.Index, Index: inc.Index, Size: inc.Checkpoint.Size, Root: inc.Checkpoint.Root,
		Path: inc.Path, Checkpoint: inc.Checkpoint,
		statement: &statementMemo{payload: e.Payload},
	}
	r.raw = r.marshal()
	if len(r.raw) > MaxReceipt {
		return nil, fmt.Errorf("invalid receipt: got %d bytes, want at most %d", len(r.raw), MaxReceipt)
	}
	return r, nil
}

// marshal writes the one spelling. By hand: protojson takes ten times as long
// and varies its white space on purpose.
func (r *Receipt) marshal() []byte {
	enc := base64.StdEncoding
	envelope := enc.EncodedLen(len(r.Envelope.Payload)) + enc.EncodedLen(len(r.Envelope.Sig)) + 256
	b := make([]byte, 0, 1024+enc.EncodedLen(len(r.Entry))+48*len(r.Path)+len(r.Checkpoint.Note)+len(r.Checkpoint.Note)/8+envelope)
	b = append(b, bundleHead...)
	b = appendJSONString(b, r.KeyHint)
	b = append(b, bundleOuterIndex...)
	b = strconv.AppendUint(b, r.OuterIndex, 10)
	b = append(b, bundleLogID...)
	b = b64.Append(b, r.LogID[:])
	b = append(b, bundleProofIndex...)
	b = strconv.AppendUint(b, r.Index, 10)
	b = append(b, bundleRoot...)
	b = b64.Append(b, r.Root[:])
	b = append(b, bundleSize...)
	b = strconv.AppendUint(b, r.Size, 10)
	b = append(b, bundleHashes...)
	for i, h := range r.Path {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = b64.Append(b, h[:])
		b = append(b, '"')
	}
	b = append(b, bundleCheckpoint...)
	b = append(b, '"')
	b = appendJSONString(b, string(r.Checkpoint.Note))
	b = append(b, '"')
	b = append(b, bundleBody...)
	b = b64.Append(b, r.Entry)
	b = append(b, bundleEnvelope...)
	b = r.Envelope.AppendText(b)
	return append(b, bundleTail...)
}

// appendJSONString writes the inside of a JSON string in its shortest form.
// Hints and signed notes have no control character but newline.
func appendJSONString(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; c {
		case '\n':
			b = append(b, '\\', 'n')
		case '"', '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return b
}

// Bytes returns the receipt's text. It must not be changed.
func (r *Receipt) Bytes() []byte { return r.raw }

// Key returns the public key that stands in the entry. It is not verified:
// whoever uses it rebuilds the entry with it and compares.
func (r *Receipt) Key() (*trial.PublicKey, error) {
	return entryPublicKey(r.Entry)
}

// Statement parses what was signed, of a parsed receipt once. The statement must
// not be changed.
func (r *Receipt) Statement() (*trial.Statement, error) {
	m := r.statement
	if p := r.Envelope.Payload; m == nil || len(m.payload) != len(p) || &m.payload[0] != &p[0] {
		return trial.ParseStatement(p)
	}
	m.once.Do(func() { m.statement, m.err = trial.ParseStatement(m.payload) })
	return m.statement, m.err
}

// errEntryDiffers is kept apart because verification words it for people.
var errEntryDiffers = errors.New("the log entry is not the one of this statement, signature and key")

// rebuildEntry checks that the entry in the receipt is that of its envelope and
// returns the key that stands in it.
func (l *LogVerifier) rebuildEntry(r *Receipt) (*trial.PublicKey, error) {
	key, err := l.entryKey(r.Entry)
	if err != nil {
		return nil, err
	}
	if !isEntry(r.Entry, r.Envelope, key) {
		return nil, errEntryDiffers
	}
	if !hintIs(r.KeyHint, key) {
		return nil, fmt.Errorf("the entry's key is %s, the receipt's hint says %s", key.ID, r.KeyHint)
	}
	return key, nil
}

// hintIs tells whether a receipt's hint is the key's id.
func hintIs(hint string, key *trial.PublicKey) bool {
	var text [64]byte
	hex.Encode(text[:], key.ID[:])
	return hint == string(text[:])
}

// checkpointFields compares what the bundle repeats of the checkpoint.
func (r *Receipt) checkpointFields() error {
	if r.Size != r.Checkpoint.Size {
		return fmt.Errorf("the receipt says tree size %d, its checkpoint %d", r.Size, r.Checkpoint.Size)
	}
	if r.Root != r.Checkpoint.Root {
		return errors.New("the receipt's root is not its checkpoint's")
	}
	return nil
}
