package receipt

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"

	"github.com/trialnotary/trialnotary/trial/b64"
)

// Limits of a checkpoint. Sixteen signatures must be accepted (C2SP
// signed-note), and an ML-DSA-44 line takes 3.3 KB.
const (
	MaxCheckpoint     = 128 << 10 // bytes
	maxCheckpointSigs = 64
)

// maxTreeSize bounds tree sizes and indexes: JSON and SQLite hold them as
// signed 64-bit integers.
const maxTreeSize = 1<<63 - 1

// Hash is an RFC 6962 SHA-256 tree hash.
type Hash = [32]byte

// Checkpoint is a signed tree head. The size and root come from the note's
// text, never from elsewhere: a Merkle root does not commit to its size.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   Hash
	// Note is the whole signed note, byte for byte.
	Note []byte
}

// Inclusion proves that an entry stands at an index of a checkpoint's tree.
type Inclusion struct {
	Index      uint64
	Checkpoint Checkpoint
	// Path is the RFC 6962 inclusion proof, from the leaf's sibling up.
	Path []Hash
}

// noteSig is one signature line of a signed note.
type noteSig struct {
	name string
	hash uint32
	sig  []byte
}

// signedNote is a parsed C2SP signed note. Nothing in it is verified.
type signedNote struct {
	text []byte // with its final newline
	sigs []noteSig
}

// ParseCheckpoint reads a checkpoint without verifying any signature:
//
//	notary.example
//	1042
//	CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//
//	— notary.example Az3grlgtzPICa5OS8npVmf1My…
//
// It accepts the one canonical spelling: C2SP tlog-checkpoint without extension
// lines, which an ML-DSA-44 cosignature would not cover.
func ParseCheckpoint(signed []byte) (Checkpoint, error) {
	c, _, err := parseCheckpoint(signed)
	return c, err
}

// OpenCheckpoint reads a checkpoint and verifies that every one of the keys,
// which are of one origin, signed it. Lines of unknown keys are ignored.
func OpenCheckpoint(signed []byte, keys ...LogKey) (Checkpoint, error) {
	c, n, err := parseCheckpoint(signed)
	if err != nil {
		return Checkpoint{}, err
	}
	if err := n.verifyLog(c.Origin, keys); err != nil {
		return Checkpoint{}, err
	}
	return c, nil
}

// verifyLog demands a valid line of every key: a key that may be missing could
// be stripped by anyone.
func (n signedNote) verifyLog(origin string, keys []LogKey) error {
	if len(keys) == 0 {
		return errors.New("no log key to verify the checkpoint with")
	}
	for _, k := range keys {
		if k.Origin() != origin {
			return fmt.Errorf("the checkpoint is of the log %q, want %q", origin, k.Origin())
		}
		signed, err := n.verified(k.verifier)
		if err != nil {
			return err
		}
		if signed == nil {
			return fmt.Errorf("the checkpoint has no signature of the log's key %s", keyText(k.key))
		}
	}
	return nil
}

func keyText(k vkey) string { return fmt.Sprintf("%s+%08x", k.name, k.hash()) }

// verified returns the signature of v over the note, nil where there is none.
// A line that names v and does not verify, or a second one, is an error.
func (n signedNote) verified(v note.Verifier) ([]byte, error) {
	var found []byte
	for _, s := range n.sigs {
		if s.name != v.Name() || s.hash != v.KeyHash() {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("the checkpoint has two signatures of %s+%08x", s.name, s.hash)
		}
		if !v.Verify(n.text, s.sig) {
			return nil, fmt.Errorf("the checkpoint's signature of %s+%08x is wrong", s.name, s.hash)
		}
		found = s.sig
	}
	return found, nil
}

func parseCheckpoint(signed []byte) (Checkpoint, signedNote, error) {
	fail := func(format string, args ...any) (Checkpoint, signedNote, error) {
		return Checkpoint{}, signedNote{}, fmt.Errorf("invalid checkpoint: "+format, args...)
	}
	n, err := parseNote(signed)
	if err != nil {
		return fail("%w", err)
	}
	lines := strings.Split(string(n.text), "\n")
	if len(lines) != 4 { // three lines and what follows the last newline
		return fail("got %d lines, want origin, size and root", len(lines)-1)
	}
	origin, root64 := lines[0], lines[2]
	if !validNoteName(origin) || len(origin) > maxOrigin {
		return fail("origin is empty, too long or has a space or plus sign")
	}
	size, err := parseDecimal(lines[1])
	if err != nil {
		return fail("size: %w", err)
	}
	root, err := decodeHash(root64)
	if err != nil {
		return fail("root: %w", err)
	}
	return Checkpoint{Origin: origin, Size: size, Root: root, Note: signed}, n, nil
}

// parseNote splits a signed note into text and signature lines.
//
// SPEC: "the text is separated from the signatures by the last empty line in
// the note" (C2SP signed-note).
func parseNote(signed []byte) (signedNote, error) {
	if len(signed) > MaxCheckpoint {
		return signedNote{}, fmt.Errorf("got %d bytes, want at most %d", len(signed), MaxCheckpoint)
	}
	if !utf8.Valid(signed) {
		return signedNote{}, errors.New("not valid UTF-8")
	}
	for _, c := range signed {
		if c < 0x20 && c != '\n' {
			return signedNote{}, fmt.Errorf("got control character %#02x", c)
		}
	}
	split := bytes.LastIndex(signed, []byte("\n\n"))
	if split < 0 {
		return signedNote{}, errors.New("no empty line before the signatures")
	}
	text, rest := signed[:split+1], string(signed[split+2:])
	if !strings.HasSuffix(rest, "\n") {
		return signedNote{}, errors.New("no newline at the end of the signatures")
	}
	n := signedNote{text: text}
	for line := range strings.SplitSeq(rest[:len(rest)-1], "\n") {
		s, err := parseSigLine(line)
		if err != nil {
			return signedNote{}, err
		}
		if n.sigs = append(n.sigs, s); len(n.sigs) > maxCheckpointSigs {
			return signedNote{}, fmt.Errorf("more than %d signatures", maxCheckpointSigs)
		}
	}
	return n, nil
}

// parseSigLine reads "— NAME BASE64".
func parseSigLine(line string) (noteSig, error) {
	rest, ok := strings.CutPrefix(line, "— ")
	name, sig64, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || !validNoteName(name) {
		return noteSig{}, errors.New("signature line is not of the form — NAME BASE64")
	}
	raw, err := decodeBase64(sig64)
	if err != nil {
		return noteSig{}, fmt.Errorf("signature of %s: %w", name, err)
	}
	if len(raw) < 5 {
		return noteSig{}, fmt.Errorf("signature of %s: got %d bytes, want a key hash and a signature", name, len(raw))
	}
	return noteSig{name: name, hash: binary.BigEndian.Uint32(raw), sig: raw[4:]}, nil
}

// parseDecimal reads an integer from 0 to 2^63-1 in its one spelling.
func parseDecimal(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > maxTreeSize || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("got %.24q, want a decimal number without leading zeros below 2^63", s)
	}
	return n, nil
}

// decodeBase64 reads padded standard base64 in its one spelling: the decoder
// alone would skip newlines and stray bits of the last character.
func decodeBase64[T string | []byte](s T) ([]byte, error) {
	raw, ok := b64.Decode([]byte(s))
	if !ok {
		return nil, errors.New("not canonical base64")
	}
	return raw, nil
}

func decodeHash[T string | []byte](s T) (Hash, error) {
	if h, ok := b64.Decode32([]byte(s)); ok {
		return h, nil
	}
	// Say what is wrong.
	if len(s) > 64 {
		return Hash{}, fmt.Errorf("got %d characters of base64, want the %d of a hash", len(s), base64.StdEncoding.EncodedLen(len(Hash{})))
	}
	raw, err := decodeBase64(s)
	if err == nil {
		err = fmt.Errorf("got %d bytes, want %d", len(raw), len(Hash{}))
	}
	return Hash{}, err
}
