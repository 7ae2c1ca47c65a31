package rpc

import (
	"unicode/utf8"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// maxItems bounds the statements in one message of a stream. An item of two bytes
// takes some hundred in memory, so they are counted before they are read.
const maxItems = 256

// The tags of SubmitStreamRequest's fields that stand beside or before items.
const (
	formTag  = 4<<3 | byte(protowire.VarintType)
	itemsTag = 5<<3 | byte(protowire.BytesType)
)

// countItems returns how many items a SubmitStreamRequest has, or one more than
// may be where there are more. It stops at what is no message.
func countItems(data []byte) int {
	n := 0
	for len(data) > 0 && n <= maxItems {
		number, _, size := protowire.ConsumeField(data)
		if size < 0 {
			break
		}
		if number == 5 {
			n++
		}
		data = data[size:]
	}
	return n
}

// beginsWithItems tells what countItems would find of a message as libraries write
// it.
func beginsWithItems(data mem.BufferSlice) bool {
	for _, part := range data {
		if b := part.ReadOnlyData(); len(b) > 0 {
			return b[0] == formTag || b[0] == itemsTag
		}
	}
	return false
}

// itemMemory is what an item takes but for its bytes and texts: all those of a
// message are one piece of memory.
type itemMemory struct {
	item       notaryv1.SubmitStreamItem
	envelope   notaryv1.Envelope
	signature  notaryv1.Signature
	signatures [1]*notaryv1.Signature
}

// unmarshalItems is proto.Unmarshal for a message with n items that is spelled as
// every library spells it: fields in ascending order, each once, none empty, none
// that is not known, so that nobody has to look for those. It copies what it keeps.
// It returns false where it does not understand the message, and leaves req alone.
func unmarshalItems(data []byte, req *notaryv1.SubmitStreamRequest, n int) bool {
	f := fields{rest: data}
	form := f.varint(formTag)
	memory, items := make([]itemMemory, n), make([]*notaryv1.SubmitStreamItem, n)
	var held string // of the one before: many name the same
	for i := range memory {
		one := fields{rest: f.bytes(itemsTag)}
		if !one.item(&memory[i], &held) {
			return false
		}
		items[i] = &memory[i].item
	}
	if f.bad || len(f.rest) > 0 || form > 1<<31-1 {
		return false
	}
	proto.Reset(req)
	req.ReceiptForm, req.Items = notaryv1.ReceiptForm(form), items
	return true
}

// fields reads the fields of a message one after the other. bad is set by what it
// does not understand.
type fields struct {
	rest []byte
	bad  bool
}

// bytes returns the next field's value if the field is that of the tag.
func (f *fields) bytes(tag byte) []byte {
	if len(f.rest) == 0 || f.rest[0] != tag {
		return nil
	}
	v, n := protowire.ConsumeBytes(f.rest[1:])
	if n < 0 || len(v) == 0 {
		f.bad = true
		return nil
	}
	f.rest = f.rest[1+n:]
	return v
}

func (f *fields) varint(tag byte) uint64 {
	if len(f.rest) == 0 || f.rest[0] != tag {
		return 0
	}
	v, n := protowire.ConsumeVarint(f.rest[1:])
	if n < 0 {
		f.bad = true
		return 0
	}
	f.rest = f.rest[1+n:]
	return v
}

// text is bytes of a text. What is the same as known is not copied.
func (f *fields) text(tag byte, known string) string {
	b := f.bytes(tag)
	if string(b) == known {
		return known
	}
	f.bad = f.bad || !utf8.Valid(b)
	return string(b)
}

// over tells whether all was read and understood.
func (f *fields) over() bool { return !f.bad && len(f.rest) == 0 }

// tag is the tag of a field that holds bytes, a text or a message.
func tag(number byte) byte { return number<<3 | byte(protowire.BytesType) }

func (f *fields) item(to *itemMemory, held *string) bool {
	to.item.Id = f.text(tag(1), "")
	env := fields{rest: f.bytes(tag(2))}
	*held = f.text(tag(3), *held)
	to.item.HeldEvidence = *held
	if !f.over() {
		return false
	}
	if len(env.rest) == 0 {
		return true
	}
	to.item.Envelope = &to.envelope
	payload := env.bytes(tag(1))
	to.envelope.PayloadType = env.text(tag(2), trial.PayloadType)
	sig := fields{rest: env.bytes(tag(3))}
	if !env.over() {
		return false
	}
	var signature []byte
	if len(sig.rest) > 0 {
		signature = sig.bytes(tag(1))
		to.signature.Keyid = sig.text(tag(2), "")
		if !sig.over() {
			return false
		}
		to.signatures[0] = &to.signature
		to.envelope.Signatures = to.signatures[:]
	}
	// One piece of memory for both, and one for each item: a payload that is kept
	// keeps no others.
	kept := append(make([]byte, 0, len(payload)+len(signature)), payload...)
	kept = append(kept, signature...)
	if len(payload) > 0 {
		to.envelope.Payload = kept[:len(payload):len(payload)]
	}
	if len(signature) > 0 {
		to.signature.Sig = kept[len(payload):]
	}
	return true
}
