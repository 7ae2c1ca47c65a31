package receipt

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

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
	policy *Policy

	mu sync.Mutex
	// opened remembers notes by the SHA-256 of their bytes, good and bad: a note
	// verifies or not once and for all. Guarded by mu.
	opened map[[32]byte]*openedNote
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
	return &LogVerifier{keys: keys, policy: p, opened: map[[32]byte]*openedNote{}}
}

// open verifies a checkpoint, or remembers that it did.
func (l *LogVerifier) open(c Checkpoint) *openedNote {
	// Not by the bytes themselves: notes that anyone may send are 128 KiB long.
	id := sha256.Sum256(c.Note)
	l.mu.Lock()
	o, ok := l.opened[id]
	l.mu.Unlock()
	if ok {
		return o
	}
	o = &openedNote{}
	_, n, err := parseCheckpoint(c.Note)
	if err == nil {
		err = n.verifyLog(c.Origin, l.keys)
	}
	if o.err = err; err == nil {
		o.witnessed, o.witnessErr = l.policy.judge(n)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.opened) >= maxRemembered {
		clear(l.opened)
	}
	l.opened[id] = o
	return o
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

var errNotIncluded = errors.New("the proof does not lead from the entry to the checkpoint's root")

// check reads like RFC 6962: rebuild the entry, hash it, prove it under the
// checkpoint's root and size, verify the checkpoint.
func (l *LogVerifier) check(r *Receipt) *logChecks {
	c := &logChecks{}
	c.key, c.entry = r.rebuildEntry()
	l.checkPlace(r, c)
	return c
}

// checkPlace checks where the entry stands.
func (l *LogVerifier) checkPlace(r *Receipt, c *logChecks) {
	if r.OuterIndex != r.Index {
		c.indexes = fmt.Errorf("the receipt has two indexes, %d and %d", r.OuterIndex, r.Index)
	}
	c.sizeRoot = r.checkpointFields()
	c.inclusion = r.verifyInclusion()
	o := l.open(r.Checkpoint)
	c.checkpoint = o.err
	if id := l.keys[0].ID(); c.checkpoint == nil && r.LogID != id {
		c.checkpoint = fmt.Errorf("the receipt names the log key %x, want %x", r.LogID, id)
	}
	if c.witnessed, c.witness = o.witnessed, o.witnessErr; o.err == nil && c.witness == nil && !c.witnessed.met {
		c.witness = errQuorum
	}
}

// verifyInclusion proves the entry under the checkpoint's own size and root.
func (r *Receipt) verifyInclusion() error {
	path := make([][]byte, len(r.Path))
	for i := range r.Path {
		path[i] = r.Path[i][:]
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(r.Entry)
	err := proof.VerifyInclusion(rfc6962.DefaultHasher, r.Index, r.Checkpoint.Size, leaf, path, r.Checkpoint.Root[:])
	if mismatch := (proof.RootMismatchError{}); errors.As(err, &mismatch) {
		return errNotIncluded // the library's text prints both hashes byte by byte
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNotIncluded, err)
	}
	return nil
}

// SelfCheck verifies that text is the receipt of exactly this envelope: its
// form, the entry rebuilt, indexes, size, root, inclusion and the checkpoint's
// signature, the last once a checkpoint. It does not verify the envelope's
// signature again, which admission did, and asks for no witness: issuing is
// open, verifying is closed.
func (l *LogVerifier) SelfCheck(text []byte, e *trial.Envelope, key *trial.PublicKey) error {
	r, err := Parse(text)
	if err != nil {
		return err
	}
	if r.Envelope.PayloadType != e.PayloadType || !bytes.Equal(r.Envelope.Payload, e.Payload) || !bytes.Equal(r.Envelope.Sig, e.Sig) {
		return errors.New("the receipt holds another envelope")
	}
	// The key is known: the entry is rebuilt with it and need not be read.
	c := &logChecks{key: key}
	if !bytes.Equal(Entry(e, key), r.Entry) {
		c.entry = errEntryDiffers
	}
	if r.KeyHint != key.ID.String() {
		c.entry = errors.New("the receipt's hint is not the key's id")
	}
	l.checkPlace(r, c)
	c.witness = nil
	if err := c.err(); err != nil {
		return fmt.Errorf("the receipt does not verify: %w", err)
	}
	return nil
}
