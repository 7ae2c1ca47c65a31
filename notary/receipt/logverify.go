package receipt

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/trialnotary/trialnotary/trial"
)

// maxRemembered bounds each memory of what was verified; it is emptied when full.
const maxRemembered = 4096

// maxChains bounds the folds that are remembered. Each holds a trial's whole
// authority, and whoever chooses the evidence chooses how many differ.
const maxChains = 256

// LogVerifier checks receipts against a log's keys alone: it is the service's
// check of what it hands out, and the log's half of a verdict. It is safe for
// concurrent use.
type LogVerifier struct {
	keys   []LogKey
	id     [32]byte // of the first key
	policy *Policy

	// opened remembers notes by the SHA-256 of their bytes, good and bad: a note
	// verifies or not once and for all.
	opened memory[[32]byte, *openedNote]
	// signers remembers the keys of entries by their DER in base64: checking that
	// a point is on the curve takes longer than proving an entry.
	signers memory[string, *trial.PublicKey]
	// last is the checkpoint that was read last: very many receipts in a row have
	// the same one.
	last atomic.Pointer[lastNote]
	// proofs remembers proofs of the checkpoints that entries were proven under
	// last.
	proofs proofs
}

// lastNote is a checkpoint as it stands in a receipt.
type lastNote struct {
	quoted     []byte
	checkpoint Checkpoint
	opened     *openedNote
}

// openedNote is what a log's keys and its policy say of a checkpoint.
type openedNote struct {
	err        error // of the log's signatures
	witnessed  witnessed
	witnessErr error
}

// NewLogVerifier returns a LogVerifier for the keys of one log, an Ed25519 key
// first. Every key must have signed.
func NewLogVerifier(keys ...LogKey) (*LogVerifier, error) {
	if err := checkLogKeys(keys); err != nil {
		return nil, fmt.Errorf("invalid log keys: %w", err)
	}
	return newLogVerifier(keys, &Policy{}), nil
}

func newLogVerifier(keys []LogKey, p *Policy) *LogVerifier {
	var id [32]byte
	if len(keys) > 0 {
		id = keys[0].ID()
	}
	return &LogVerifier{
		keys: keys, id: id, policy: p,
		opened:  memory[[32]byte, *openedNote]{limit: maxRemembered},
		signers: memory[string, *trial.PublicKey]{limit: maxRemembered},
	}
}

// open verifies a checkpoint, or remembers that it did.
func (l *LogVerifier) open(c Checkpoint) *openedNote {
	if last := l.last.Load(); last != nil && bytes.Equal(last.checkpoint.Note, c.Note) {
		return last.opened
	}
	// Not by the bytes themselves: notes that anyone may send are 128 KiB long.
	id := sha256.Sum256(c.Note)
	if o, ok := l.opened.get(id); ok {
		return o
	}
	o := &openedNote{}
	_, n, err := parseCheckpoint(c.Note)
	if err == nil {
		err = n.verifyLog(c.Origin, l.keys)
	}
	if o.err = err; err == nil {
		o.witnessed, o.witnessErr = l.policy.judge(n)
	}
	l.opened.put(id, o)
	return o
}

// entryKey returns the key that stands in an entry.
func (l *LogVerifier) entryKey(entry []byte) (*trial.PublicKey, error) {
	text, err := entryKeyText(entry)
	if err != nil {
		return nil, err
	}
	if key, ok := getText(&l.signers, text); ok {
		return key, nil
	}
	key, err := entryPublicKey(entry)
	if err != nil {
		return nil, err
	}
	l.signers.put(string(text), key)
	return key, nil
}

// logChecks is what a log's keys say of a receipt, check by check.
type logChecks struct {
	key        *trial.PublicKey // that stands in the entry, nil if entry failed
	entry      error
	indexes    error
	sizeRoot   error
	inclusion  error
	checkpoint error
	witnessed  witnessed
	witness    error
}

// err returns the first failure, the policy's included.
func (c *logChecks) err() error {
	for _, err := range []error{c.entry, c.indexes, c.sizeRoot, c.inclusion, c.checkpoint, c.witness} {
		if err != nil {
			return err
		}
	}
	return nil
}

// errQuorum means that too few witnesses cosigned.
var errQuorum = errors.New("too few witnesses of the policy cosigned the checkpoint")

// check reads like RFC 6962: rebuild the entry, hash it, prove it under the
// checkpoint's root and size, verify the checkpoint.
func (l *LogVerifier) check(r *Receipt) (c logChecks) {
	c.key, c.entry = l.rebuildEntry(r)
	l.checkPlace(r, &c, l.open(r.Checkpoint))
	return c
}

// checkPlace checks where the entry stands.
func (l *LogVerifier) checkPlace(r *Receipt, c *logChecks, o *openedNote) {
	if r.OuterIndex != r.Index {
		c.indexes = fmt.Errorf("the receipt has two indexes, %d and %d", r.OuterIndex, r.Index)
	}
	c.sizeRoot = r.checkpointFields()
	c.inclusion = verifyInclusion(r.Entry, Inclusion{Index: r.Index, Checkpoint: r.Checkpoint, Path: r.Path})
	c.checkpoint = o.err
	if c.checkpoint == nil && r.LogID != l.id {
		c.checkpoint = fmt.Errorf("the receipt names the log key %x, want %x", r.LogID, l.id)
	}
	if c.witnessed, c.witness = o.witnessed, o.witnessErr; o.err == nil && c.witness == nil && !c.witnessed.met {
		c.witness = errQuorum
	}
}

// SelfCheck verifies that text is the receipt of exactly this envelope: its
// form, the entry rebuilt, indexes, size, root, inclusion and the checkpoint's
// signature, the last once a checkpoint. It does not verify the envelope's
// signature again, which admission did, and asks for no witness: issuing is
// open, verifying is closed.
//
// It reads every byte of text, as Parse does, but compares the envelope and the
// entry in place: what they must be is known.
func (l *LogVerifier) SelfCheck(text []byte, e *trial.Envelope, key *trial.PublicKey) error {
	if len(text) > MaxReceipt {
		return fmt.Errorf("invalid receipt: got %d bytes, want at most %d", len(text), MaxReceipt)
	}
	s := scanner{text: text}
	r := new(Receipt)
	s.head(r)
	o := l.checkpoint(&s, r)
	s.entry(r)
	bare := *e
	bare.KeyID = ""
	if envelope := s.envelopeText(); s.err == nil && (bare.PayloadType != trial.PayloadType || !bare.IsText(envelope)) {
		s.failf("the receipt holds another envelope, or another spelling of it")
	}
	if s.err != nil {
		return fmt.Errorf("invalid receipt: %w", s.err)
	}
	c := &logChecks{key: key}
	if !isEntry(r.Entry, e, key) {
		c.entry = errEntryDiffers
	}
	if !hintIs(r.KeyHint, key) {
		c.entry = errors.New("the receipt's hint is not the key's id")
	}
	l.checkPlace(r, c, o)
	c.witness = nil
	if err := c.err(); err != nil {
		return fmt.Errorf("the receipt does not verify: %w", err)
	}
	return nil
}

// checkpoint reads and verifies the checkpoint, or remembers that it did.
func (l *LogVerifier) checkpoint(s *scanner, r *Receipt) *openedNote {
	from := *s
	quoted := s.quoted()
	if last := l.last.Load(); s.err == nil && last != nil && bytes.Equal(last.quoted, quoted) {
		r.Checkpoint = last.checkpoint
		return last.opened
	}
	*s = from
	s.signedNote(r)
	if s.err != nil {
		return nil
	}
	o := l.open(r.Checkpoint)
	l.last.Store(&lastNote{quoted: bytes.Clone(quoted), checkpoint: r.Checkpoint, opened: o})
	return o
}
