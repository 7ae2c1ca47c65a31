package rpc

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// sameInPlace demands that what unmarshalInPlace reads the library reads alike.
func sameInPlace(t *testing.T, data []byte, m proto.Message) (understood bool) {
	t.Helper()
	if !unmarshalInPlace(data, m) {
		return false
	}
	want := m.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(data, want); err != nil {
		t.Fatalf("read %x as %v, which the library refuses: %v", data, m, err)
	}
	if !proto.Equal(m, want) {
		t.Fatalf("read %x as %v, want %v", data, m, want)
	}
	return true
}

func inPlaceSeeds() map[string][]byte {
	message := func(m proto.Message) []byte {
		data, _ := proto.Marshal(m) // these have no text that is not UTF-8
		return data
	}
	env := &notaryv1.Envelope{Payload: []byte("{}"), PayloadType: "p", Signatures: []*notaryv1.Signature{{Sig: []byte{1}, Keyid: "k"}}}
	unary := message(&notaryv1.SubmitRequest{Envelope: env, HeldEvidence: "h", ReceiptForm: notaryv1.ReceiptForm_RECEIPT_FORM_PROOF})
	unknown := protowire.AppendVarint(protowire.AppendTag(nil, 900, protowire.VarintType), 7)
	return map[string][]byte{
		"unary":       unary,
		"stream":      message(&notaryv1.SubmitStreamRequest{Id: "1", Envelope: env}),
		"empty":       {},
		"no payload":  message(&notaryv1.SubmitRequest{Envelope: &notaryv1.Envelope{}}),
		"no envelope": message(&notaryv1.SubmitRequest{HeldEvidence: "h"}),
		"unknown":     append(bytes.Clone(unary), unknown...),
		"unknown inside": protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType),
			append(message(env), unknown...)),
		"two envelopes": append(bytes.Clone(unary), unary...),
		"two payloads": protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType),
			append(message(env), message(env)...)),
		"cut short":  unary[:len(unary)-3],
		"no UTF-8":   protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), []byte{0xff}),
		"other type": protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 7),
	}
}

// TestUnmarshalInPlace tells which messages it reads without the library.
func TestUnmarshalInPlace(t *testing.T) {
	// As a request of the other form "stream" means something else.
	left := map[string]bool{"stream": true, "two envelopes": true, "two payloads": true, "cut short": true, "no UTF-8": true}
	for what, data := range inPlaceSeeds() {
		if understood := sameInPlace(t, data, new(notaryv1.SubmitRequest)); understood == left[what] {
			t.Errorf("%s: understood %v", what, understood)
		}
	}
	if !sameInPlace(t, inPlaceSeeds()["stream"], new(notaryv1.SubmitStreamRequest)) {
		t.Error("a request of a stream was not understood")
	}
	if unmarshalInPlace(nil, new(notaryv1.VerifyRequest)) {
		t.Error("a message without an envelope was understood")
	}
}

func FuzzUnmarshalInPlace(f *testing.F) {
	for _, data := range inPlaceSeeds() {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sameInPlace(t, data, new(notaryv1.SubmitRequest))
		sameInPlace(t, data, new(notaryv1.SubmitStreamRequest))
	})
}

// TestLargePayloadIsKept: the payload of a large message outlives the buffers that
// the message came in.
func TestLargePayloadIsKept(t *testing.T) {
	c := newCodec(1<<20, new(buffers))
	sent := &notaryv1.SubmitRequest{HeldEvidence: "h", Envelope: &notaryv1.Envelope{
		Payload: bytes.Repeat([]byte("payload "), 10_000), PayloadType: "p", Signatures: []*notaryv1.Signature{{Sig: []byte{1}}},
	}}
	data, err := proto.Marshal(sent)
	must(t, err)
	for _, pieces := range []int{1, 3, 16 << 10} {
		var slice mem.BufferSlice
		var lent [][]byte
		for rest := data; len(rest) > 0; {
			n := min(len(rest), (len(data)+pieces-1)/pieces)
			lent = append(lent, bytes.Clone(rest[:n]))
			slice, rest = append(slice, mem.SliceBuffer(lent[len(lent)-1])), rest[n:]
		}
		got := &notaryv1.SubmitRequest{ReceiptForm: notaryv1.ReceiptForm_RECEIPT_FORM_PROOF}
		must(t, c.Unmarshal(slice, got))
		for _, b := range lent { // used for another message
			clear(b)
		}
		if !proto.Equal(got, sent) {
			t.Errorf("%d pieces: got another message", pieces)
		}
	}
	broken := bytes.Clone(data[:len(data)-1])
	got := new(notaryv1.SubmitRequest)
	must(t, c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(broken)}, got))
	if !hasMark(got, unreadable) || got.GetEnvelope() != nil {
		t.Error("a large message that is cut short was read")
	}
}
