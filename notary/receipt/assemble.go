package receipt

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/trialnotary/trialnotary/trial"
)

// Proof is what somebody else says of an entry's place in the log: with the
// envelope and the key it makes a receipt. Nothing in it is verified.
type Proof struct {
	Index uint64
	// Hashes are the RFC 6962 inclusion proof, from the leaf's sibling up.
	Hashes [][]byte
	// Checkpoint is the signed note that the proof leads to.
	Checkpoint string
}

// CheckInclusion verifies what a receipt would say of an envelope's place,
// without the receipt: the entry rebuilt, its inclusion at the index under the
// checkpoint's own size and root, and the checkpoint's signature, the last once
// a checkpoint. As SelfCheck it leaves the envelope's signature to admission and
// asks for no witness.
func (l *LogVerifier) CheckInclusion(e *trial.Envelope, key *trial.PublicKey, inc Inclusion) error {
	cp, opened, err := l.note(inc.Checkpoint.Note)
	if err != nil {
		return err
	}
	// What is beside the note must not say anything else: a root does not commit
	// to its size.
	if c := inc.Checkpoint; c.Origin != cp.Origin || c.Size != cp.Size || c.Root != cp.Root {
		return errors.New("the origin, size or root beside the checkpoint is not the checkpoint's own")
	}
	return l.included(Entry(e, key), inc, opened)
}

// Assemble makes the receipt of an envelope out of a proof, byte for byte the one
// that Build makes, and verifies it like CheckInclusion first: a wrong proof
// makes no receipt. key is the signer's.
func (l *LogVerifier) Assemble(e *trial.Envelope, key *trial.PublicKey, p Proof) (*Receipt, error) {
	if n := len(e.Payload); e.PayloadType != trial.PayloadType || n == 0 || n > trial.MaxPayload {
		return nil, fmt.Errorf("invalid envelope: got %d bytes of %q, want 1 to %d of %q", n, e.PayloadType, trial.MaxPayload, trial.PayloadType)
	}
	inc, opened, err := l.read(p)
	if err != nil {
		return nil, fmt.Errorf("invalid proof: %w", err)
	}
	entry := Entry(e, key)
	if err := l.included(entry, inc, opened); err != nil {
		return nil, err
	}
	return newReceipt(e, key, inc, entry, l.keys[0])
}

// Assemble is LogVerifier.Assemble under the trust folder's log keys.
func (v *Verifier) Assemble(e *trial.Envelope, key *trial.PublicKey, p Proof) (*Receipt, error) {
	return v.log.Assemble(e, key, p)
}

// read reads a proof. What it says of the checkpoint alone is verified.
func (l *LogVerifier) read(p Proof) (Inclusion, *openedNote, error) {
	if len(p.Hashes) > maxPath {
		return Inclusion{}, nil, fmt.Errorf("got %d hashes, want at most %d", len(p.Hashes), maxPath)
	}
	inc := Inclusion{Index: p.Index, Path: make([]Hash, len(p.Hashes))}
	for i, h := range p.Hashes {
		if len(h) != len(Hash{}) {
			return Inclusion{}, nil, fmt.Errorf("hash %d: got %d bytes, want %d", i, len(h), len(Hash{}))
		}
		inc.Path[i] = Hash(h)
	}
	if last := l.last.Load(); last != nil && string(last.checkpoint.Note) == p.Checkpoint {
		inc.Checkpoint = last.checkpoint
		return inc, last.opened, nil
	}
	var opened *openedNote
	var err error
	inc.Checkpoint, opened, err = l.note([]byte(p.Checkpoint))
	return inc, opened, err
}

// note reads and verifies a checkpoint, or remembers that it did.
func (l *LogVerifier) note(text []byte) (Checkpoint, *openedNote, error) {
	if last := l.last.Load(); last != nil && bytes.Equal(last.checkpoint.Note, text) {
		return last.checkpoint, last.opened, nil
	}
	c, err := ParseCheckpoint(bytes.Clone(text))
	if err != nil {
		return Checkpoint{}, nil, err
	}
	o := l.open(c)
	l.last.Store(&lastNote{quoted: appendJSONString(nil, string(text)), checkpoint: c, opened: o})
	return c, o, nil
}

// included proves an entry under a checkpoint that was read and opened. The
// checkpoint's own fault comes first: a proof that leads to another root says
// nothing if the root is not the log's.
func (l *LogVerifier) included(entry []byte, inc Inclusion, opened *openedNote) error {
	if len(entry) > MaxEntry {
		return fmt.Errorf("invalid entry: got %d bytes, want at most %d", len(entry), MaxEntry)
	}
	if opened.err != nil {
		return opened.err
	}
	if err := l.proofs.includes(entry, inc); err != nil {
		return fmt.Errorf("index %d in a tree of %d entries: %w", inc.Index, inc.Checkpoint.Size, err)
	}
	return nil
}
