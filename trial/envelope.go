package trial

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
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

// Bounds of an ECDSA signature on P-256 in ASN.1 DER, in bytes.
const (
	minSig = 8
	maxSig = 72
)

// ID names a statement: the SHA-256 of its payload bytes. Its text form is 64
// lowercase hexadecimal characters. A trial is its charter's ID.
type ID [32]byte

// String returns the ID as 64 lowercase hexadecimal characters.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// IsZero tells whether the ID is absent.
func (id ID) IsZero() bool { return id == ID{} }

// MarshalText returns the text form.
func (id ID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads the text form.
func (id *ID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseID(string(text))
	return err
}

// ParseID reads 64 lowercase hexadecimal characters.
func ParseID(s string) (ID, error) {
	d, err := parseHex32(s)
	if err != nil {
		return ID{}, fmt.Errorf("invalid id: %w", err)
	}
	return ID(d), nil
}

func parseHex32(s string) ([32]byte, error) {
	var d [32]byte
	if len(s) != 64 {
		return d, fmt.Errorf("got %d characters, want 64 lowercase hexadecimal characters", len(s))
	}
	d, ok := decodeHex32([]byte(s))
	if !ok {
		return d, fmt.Errorf("got other characters, want 64 lowercase hexadecimal characters")
	}
	return d, nil
}

// Envelope is a DSSE envelope with exactly one signature. The payload is kept
// as it came: it is what was signed. Its bytes must not be changed; another
// payload may be put in its place.
type Envelope struct {
	PayloadType string
	Payload     []byte
	// KeyID is the unsigned hint of the signature: empty or the signer's.
	KeyID string
	// Sig is an ECDSA signature in ASN.1 DER.
	Sig []byte

	// digest remembers the SHA-256 of the PAE. Copies of the envelope share it. It
	// is nil, of an envelope that was put together by hand, or complete.
	digest *paeMemo
}

// NewEnvelope returns the envelope of a statement whose parts came one by one.
// It keeps payload and sig, verifies nothing, and computes its digest once.
func NewEnvelope(payload []byte, keyID string, sig []byte) *Envelope {
	e := Envelope{PayloadType: PayloadType, Payload: payload, KeyID: keyID, Sig: sig}
	if len(payload) == 0 {
		return &e
	}
	return remembered(e)
}

// ParseEnvelope reads a DSSE envelope of a statement: JSON in any spelling, of
// at most MaxEnvelope bytes, with one signature. It does not look into the
// payload and verifies nothing.
//
//	{"payload": "BASE64",
//	 "payloadType": "application/vnd.in-toto+json",
//	 "signatures": [{"keyid": "HEX", "sig": "BASE64"}]}
func ParseEnvelope(b []byte) (*Envelope, error) { return parseEnvelope(b, PayloadType) }

// Open reads an envelope and its statement. It verifies no signature.
func Open(b []byte) (*Envelope, *Statement, error) {
	e, err := ParseEnvelope(b)
	if err != nil {
		return nil, nil, err
	}
	st, err := ParseStatement(e.Payload)
	if err != nil {
		return nil, nil, err
	}
	if e.KeyID != "" && e.KeyID != st.Predicate.Signer.KeyID.String() {
		return nil, nil, refuse(ReasonMalformedEnvelope, "signatures[0].keyid", "not the key that the statement names")
	}
	return e, st, nil
}

func parseEnvelope(b []byte, payloadType string) (*Envelope, error) {
	if len(b) > MaxEnvelope {
		return nil, refuse(ReasonTooLarge, "", "got an envelope of %d bytes, want at most %d", len(b), MaxEnvelope)
	}
	var e *Envelope
	refusal := readDocument(b, ReasonMalformedEnvelope, func(r *reader) {
		e = new(Envelope)
		e.read(r, payloadType)
	})
	if refusal != nil {
		return nil, refusal
	}
	return remembered(*e), nil
}

func (e *Envelope) read(r *reader, payloadType string) {
	signed := false
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "payload":
			e.Payload = r.base64(MaxPayload)
		case "payloadType":
			e.PayloadType = r.line(128)
		case "signatures":
			e.signatures(r)
			signed = true
		default:
			r.unknown()
		}
	}
	switch {
	case r.refusal != nil:
	case e.Payload == nil:
		r.failAtf("payload", ReasonMissingField, "missing")
	case e.PayloadType != payloadType:
		r.failAtf("payloadType", ReasonMalformedEnvelope, "want %q", payloadType)
	case !signed:
		r.failAtf("signatures", ReasonMissingField, "missing")
	}
}

func (e *Envelope) signatures(r *reader) {
	r.begin('[')
	n := 0
	for r.more() {
		if n++; n > 1 {
			r.failf(ReasonMalformedEnvelope, "got more than one signature, want exactly one")
			return
		}
		r.begin('{')
		for r.next() {
			switch string(r.name) {
			case "keyid":
				e.keyID(r)
			case "sig":
				e.Sig = r.base64(maxSig)
				if r.refusal == nil && len(e.Sig) < minSig {
					r.failf(ReasonMalformedEnvelope, "got a signature of %d bytes, want %d to %d", len(e.Sig), minSig, maxSig)
				}
			default:
				r.unknown()
			}
		}
		if e.Sig == nil {
			r.failAtf("sig", ReasonMissingField, "missing")
		}
	}
	if n == 0 {
		r.failf(ReasonMalformedEnvelope, "got no signature, want exactly one")
	}
}

// keyID reads the hint, which may be the empty string.
func (e *Envelope) keyID(r *reader) {
	if r.refusal != nil {
		return
	}
	if r.peek() != '"' {
		r.hash(ReasonMalformedEnvelope) // refuses
		return
	}
	hint, _ := r.readString()
	if r.refusal == nil && len(hint) != 0 && (len(hint) != 64 || !lowerHex(hint)) {
		r.failf(ReasonMalformedEnvelope, "want 64 lowercase hexadecimal characters, or an empty string")
		return
	}
	e.KeyID = string(hint)
}

// HintFits tells whether the hint allows the key: it is empty or the key's id.
func (e *Envelope) HintFits(key *PublicKey) bool {
	var id [2 * len(key.ID)]byte
	return e.KeyID == "" || e.KeyID == string(hex.AppendEncode(id[:0], key.ID[:]))
}

// Verify checks the signature: ECDSA on P-256 with SHA-256 over the PAE. The
// hint must be empty or the key's id. It fails with BAD_SIGNATURE. A signature
// with the larger of its two S values is valid too: the identity of an act is
// its payload, not its signature.
func (e *Envelope) Verify(key *PublicKey) error {
	digest := e.Digest()
	if !e.HintFits(key) {
		return refuse(ReasonBadSignature, "signatures[0].keyid", "not the id of the signer's key %s", key.ID)
	}
	if !ecdsa.VerifyASN1(key.Key, digest[:], e.Sig) {
		return refuse(ReasonBadSignature, "signatures[0].sig", "not a signature of the key %s over this payload", key.ID)
	}
	return nil
}

// Sign signs a statement's payload with a P-256 key.
func Sign(priv crypto.Signer, payload []byte) (*Envelope, error) {
	return signAs(priv, PayloadType, payload)
}

func signAs(priv crypto.Signer, payloadType string, payload []byte) (*Envelope, error) {
	if len(payload) > MaxPayload {
		return nil, refuse(ReasonTooLarge, "payload", "got %d bytes, want at most %d", len(payload), MaxPayload)
	}
	pub, err := NewPublicKey(priv.Public())
	if err != nil {
		return nil, err
	}
	digest := paeDigest(payloadType, payload)
	sig, err := priv.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return &Envelope{PayloadType: payloadType, Payload: payload, KeyID: pub.ID.String(), Sig: sig}, nil
}
