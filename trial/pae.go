package trial

import (
	"crypto/sha256"
	"strconv"
	"sync"
)

// PAE returns the bytes that are signed.
func (e *Envelope) PAE() []byte { return PAE(e.PayloadType, e.Payload) }

// PAE is DSSE's pre-authentication encoding.
//
// SPEC: "DSSEv1" + SP + LEN(type) + SP + type + SP + LEN(body) + SP + body, with
// lengths in ASCII decimal (DSSE v1.0.2, protocol.md).
func PAE(payloadType string, payload []byte) []byte {
	b := make([]byte, 0, len(payloadType)+len(payload)+48)
	b = paeHead(b, payloadType, len(payload))
	return append(b, payload...)
}

func paeHead(b []byte, payloadType string, size int) []byte {
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(size), 10)
	return append(b, ' ')
}

// paeDigest is the SHA-256 of the PAE, without a copy of the payload.
func paeDigest(payloadType string, payload []byte) (sum [32]byte) {
	var head [160]byte
	h := sha256.New()
	h.Write(paeHead(head[:0], payloadType, len(payload)))
	h.Write(payload)
	h.Sum(sum[:0])
	return sum
}

// paeMemo is a SHA-256 of a PAE that is computed once: verifying, logging and
// answering one act need it four times, and a payload may have half a megabyte.
type paeMemo struct {
	once        sync.Once
	payloadType string
	payload     []byte
	sum         [32]byte
}

// Digest returns the SHA-256 of the PAE: what is signed and logged.
func (e *Envelope) Digest() [32]byte {
	m := e.digest
	if m == nil || m.payloadType != e.PayloadType || len(m.payload) != len(e.Payload) || &m.payload[0] != &e.Payload[0] {
		return paeDigest(e.PayloadType, e.Payload)
	}
	m.once.Do(func() { m.sum = paeDigest(m.payloadType, m.payload) })
	return m.sum
}

// remembered returns an envelope that computes its digest once. Its payload is not
// empty.
func remembered(e Envelope) *Envelope {
	both := &struct {
		envelope Envelope
		digest   paeMemo
	}{envelope: e}
	both.digest.payloadType, both.digest.payload = e.PayloadType, e.Payload
	both.envelope.digest = &both.digest
	return &both.envelope
}
