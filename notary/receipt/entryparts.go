package receipt

import (
	"bytes"
	"errors"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/b64"
)

// EntryParts is what a log entry says to everybody. The slices are parts of the
// entry, in base64.
type EntryParts struct {
	// Digest is the SHA-256 of what was signed, Signature the signature and Key
	// the SubjectPublicKeyInfo DER of the signer's key.
	Digest, Signature, Key []byte
}

// keyHead begins the DER of an uncompressed P-256 key, which has keySize bytes.
var keyHead = []byte{
	0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
	0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
}

const keySize = 91

var errEntryForm = errors.New("invalid entry: not a hashedrekord 0.0.2 of a P-256 key in canonical JSON")

// SplitEntry takes an entry apart that has the one spelling that Entry writes. It
// does not verify the signature, nor that the key is a point of the curve: whoever
// looks for the entries of known keys compares Key with EntryKey.
func SplitEntry(entry []byte) (EntryParts, error) {
	rest, ok := bytes.CutPrefix(entry, []byte(entryHead))
	digest, rest, ok2 := bytes.Cut(rest, []byte(entrySignature))
	sig, rest, ok3 := bytes.Cut(rest, []byte(entryKey))
	key, ok4 := bytes.CutSuffix(rest, []byte(entryTail))
	if !ok || !ok2 || !ok3 || !ok4 {
		return EntryParts{}, errEntryForm
	}
	if _, ok := b64.Decode32(digest); !ok {
		return EntryParts{}, errEntryForm
	}
	if s, ok := b64.Decode(sig); !ok || len(s) == 0 {
		return EntryParts{}, errEntryForm
	}
	if k, ok := b64.Decode(key); !ok || len(k) != keySize || !bytes.HasPrefix(k, keyHead) {
		return EntryParts{}, errEntryForm
	}
	return EntryParts{Digest: digest, Signature: sig, Key: key}, nil
}

// EntryKey returns how a key stands in the entries that it signed.
func EntryKey(key *trial.PublicKey) string { return string(b64.Append(nil, key.DER)) }

// EntryDigest returns how a statement's digest stands in its entry.
func EntryDigest(e *trial.Envelope) string {
	digest := e.Digest()
	return string(b64.Append(nil, digest[:]))
}
