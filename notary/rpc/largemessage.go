package rpc

import (
	"strings"
	"unsafe"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// largeMessage is the length from which on a statement is not copied out of its
// message. A shorter one is read out of a buffer that is used again.
const largeMessage = 16 << 10

// gather returns the bytes of a message in one piece of new memory, which is not
// cleared first.
func gather(data mem.BufferSlice) []byte {
	var b strings.Builder
	b.Grow(data.Len())
	for _, part := range data {
		b.Write(part.ReadOnlyData())
	}
	text := b.String()
	return unsafe.Slice(unsafe.StringData(text), len(text)) //nolint:gosec // nobody else has the string
}

// unmarshalInPlace is proto.Unmarshal for a request with a large statement, whose
// payload stays where it is in data: nobody may change data afterwards, and it
// lives as long as the payload. It returns false where it does not understand the
// message, and then m holds anything.
//
// What surrounds the payload is some hundred bytes, and is left to the library.
func unmarshalInPlace(data []byte, m proto.Message) bool {
	switch req := m.(type) {
	case *notaryv1.SubmitRequest:
		env, ok := unmarshalAround(data, m, 1)
		req.Envelope = env
		return ok
	case *notaryv1.SubmitStreamRequest:
		env, ok := unmarshalAround(data, m, 2)
		req.Envelope = env
		return ok
	}
	return false
}

// unmarshalAround reads a message but for its field of an envelope, which it
// returns, or nil where there is none.
func unmarshalAround(data []byte, m proto.Message, field protowire.Number) (*notaryv1.Envelope, bool) {
	text, rest, ok := cutField(data, field)
	if !ok || proto.Unmarshal(rest, m) != nil {
		return nil, false
	}
	if text == nil {
		return nil, true
	}
	payload, rest, ok := cutField(text, 1)
	env := new(notaryv1.Envelope)
	if !ok || proto.Unmarshal(rest, env) != nil {
		return nil, false
	}
	if len(payload) > 0 {
		env.Payload = payload
	}
	return env, true
}

// cutField returns the value of a field of bytes, which is a part of data, or nil
// where there is none, and a copy of all other fields. A field that is given more
// than once, which means that its values are merged, it does not understand.
func cutField(data []byte, field protowire.Number) (value, rest []byte, ok bool) {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return nil, nil, false
		}
		size := protowire.ConsumeFieldValue(number, kind, data[n:])
		if size < 0 {
			return nil, nil, false
		}
		if number == field && kind == protowire.BytesType {
			if value != nil {
				return nil, nil, false
			}
			_, head := protowire.ConsumeVarint(data[n:])
			value = data[n+head : n+size : n+size] // not nil, also where it is empty
		} else {
			rest = append(rest, data[:n+size]...)
		}
		data = data[n+size:]
	}
	return value, rest, true
}
