package trial

import (
	"crypto/ecdsa"
	"encoding/hex"
	"fmt"
)

// PayloadType is the DSSE payload type of every statement.
const PayloadType = "application/vnd.in-toto+json"

// Limits of untrusted input, in bytes.
const (
	MaxPayload  = 512 << 10
	MaxEnvelope = 1 << 20
)

// ID names a statement: the SHA-256 of its payload bytes. Its text form is 64
// lowercase hexadecimal characters. A trial is its charter's ID.
type ID [32]byte

// String returns the ID as 64 lowercase hexadecimal characters.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// IsZero tells whether the ID is absent.
func (id ID) IsZero() bool { return id == ID{} }

// ParseID reads 64 lowercase hexadecimal characters.
func ParseID(s string) (ID, error) {
	d, err := parseHex32(s)
	return ID(d), err
}

// KeyID names a key: the SHA-256 of its SubjectPublicKeyInfo DER. Its text form
// is 64 lowercase hexadecimal characters.
type KeyID [32]byte

// String returns the KeyID as 64 lowercase hexadecimal characters.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// IsZero tells whether the KeyID is absent.
func (id KeyID) IsZero() bool { return id == KeyID{} }

// ParseKeyID reads 64 lowercase hexadecimal characters.
func ParseKeyID(s string) (KeyID, error) {
	d, err := parseHex32(s)
	return KeyID(d), err
}

func parseHex32(s string) ([32]byte, error) {
	var d [32]byte
	if len(s) != 64 {
		return d, fmt.Errorf("got %d characters, want 64 lowercase hexadecimal characters", len(s))
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return d, fmt.Errorf("got character %q, want lowercase hexadecimal", c)
		}
	}
	_, err := hex.Decode(d[:], []byte(s))
	return d, err
}

// Envelope is a DSSE envelope with exactly one signature. The payload is kept
// as it came: it is what was signed.
type Envelope struct {
	PayloadType string
	Payload     []byte
	// KeyID is the unsigned hint of the signature: empty or the signer's.
	KeyID string
	// Sig is an ECDSA signature in ASN.1 DER.
	Sig []byte
}

// PublicKey is a P-256 public key with its encodings.
type PublicKey struct {
	Key *ecdsa.PublicKey
	// DER is the SubjectPublicKeyInfo.
	DER []byte
	// ID is the SHA-256 of DER.
	ID KeyID
}
