package trial

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strconv"

	"github.com/trialnotary/trialnotary/trial/b64"
)

// The one spelling of an envelope, in pieces between what varies.
const (
	envelopeHead  = `{"payload":"`
	envelopeType  = `","payloadType":"`
	envelopeSigs  = `","signatures":[{`
	envelopeKeyID = `"keyid":"`
	envelopeSig   = `"sig":"`
	envelopeTail  = `"}]}`
)

// Marshal returns the envelope's one spelling as JSON.
func (e *Envelope) Marshal() []byte {
	return e.AppendText(make([]byte, 0, e.size()))
}

// size is not less than the length of the one spelling, in bytes.
func (e *Envelope) size() int {
	return base64.StdEncoding.EncodedLen(len(e.Payload)) + base64.StdEncoding.EncodedLen(len(e.Sig)) +
		len(e.PayloadType) + len(e.KeyID) + 80
}

// AppendText appends the envelope's one spelling as JSON to b.
func (e *Envelope) AppendText(b []byte) []byte {
	b = slices.Grow(b, e.size())
	b = append(b, envelopeHead...)
	b = b64.Append(b, e.Payload)
	b = append(b, envelopeType...)
	b = append(b, e.PayloadType...)
	b = append(b, envelopeSigs...)
	if e.KeyID != "" {
		b = append(b, envelopeKeyID...)
		b = append(b, e.KeyID...)
		b = append(b, `",`...)
	}
	b = append(b, envelopeSig...)
	b = b64.Append(b, e.Sig)
	return append(b, envelopeTail...)
}

// IsText tells whether text is the envelope's one spelling, as AppendText writes
// it. It reads all of text and writes none of it again.
func (e *Envelope) IsText(text []byte) bool {
	ok := true
	piece := func(want string) {
		if ok = ok && len(text) >= len(want) && string(text[:len(want)]) == want; ok {
			text = text[len(want):]
		}
	}
	coded := func(src []byte) {
		n := base64.StdEncoding.EncodedLen(len(src))
		if ok = ok && len(text) >= n && b64.Is(text[:n], src); ok {
			text = text[n:]
		}
	}
	piece(envelopeHead)
	coded(e.Payload)
	piece(envelopeType)
	piece(e.PayloadType)
	piece(envelopeSigs)
	if e.KeyID != "" {
		piece(envelopeKeyID)
		piece(e.KeyID)
		piece(`",`)
	}
	piece(envelopeSig)
	coded(e.Sig)
	piece(envelopeTail)
	return ok && len(text) == 0
}

// ParseEnvelopeText reads the envelope of a statement in its one spelling,
// without a key id, as a receipt has it: see AppendText. It accepts a part of
// what ParseEnvelope accepts, and reads it alike.
func ParseEnvelopeText(text []byte) (*Envelope, error) {
	fail := func(piece string) (*Envelope, error) {
		return nil, refuse(ReasonMalformedEnvelope, "", "not the one spelling of an envelope: want %s there", piece)
	}
	if len(text) > MaxEnvelope {
		return nil, refuse(ReasonTooLarge, "", "got an envelope of %d bytes, want at most %d", len(text), MaxEnvelope)
	}
	const middle = envelopeType + PayloadType + envelopeSigs + envelopeSig
	rest, ok := bytes.CutPrefix(text, []byte(envelopeHead))
	if !ok {
		return fail(envelopeHead)
	}
	payload, rest, _ := bytes.Cut(rest, []byte{'"'})
	if rest, ok = bytes.CutPrefix(rest, []byte(middle[1:])); !ok {
		return fail(middle)
	}
	sig, rest, _ := bytes.Cut(rest, []byte{'"'})
	if string(rest) != envelopeTail[1:] {
		return fail(envelopeTail)
	}
	e := Envelope{PayloadType: PayloadType}
	if e.Payload, ok = b64.Decode(payload); !ok || len(e.Payload) == 0 || len(e.Payload) > MaxPayload {
		return fail("1 to " + strconv.Itoa(MaxPayload) + " bytes in base64")
	}
	if e.Sig, ok = b64.Decode(sig); !ok || len(e.Sig) < minSig || len(e.Sig) > maxSig {
		return fail(strconv.Itoa(minSig) + " to " + strconv.Itoa(maxSig) + " bytes in base64")
	}
	return remembered(e), nil
}
