package rpc

import (
	"bytes"
	"errors"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// namingCodec lets bytes that are no message of the call, or too many, through as
// an empty message with a mark. Where a codec fails, grpc answers at once and in
// its own words; the mark is refused like everything else that is wrong with a
// message.
type namingCodec struct {
	encoding.CodecV2
	limit   int // of a message from outside
	buffers mem.BufferPool
}

func newCodec(limit int, buffers mem.BufferPool) encoding.CodecV2 {
	return namingCodec{encoding.GetCodecV2("proto"), limit, buffers}
}

// The marks: the highest field number, which no message of ours has.
var (
	unreadable = mark(1)
	tooLarge   = mark(2)
	tooMany    = mark(3) // items
)

// incoming is a message that is being received. It is what the codec is given, so
// that it can say more of the message than whether it was read.
type incoming struct {
	proto.Message
	known bool // it has no field that this version does not know
}

func mark(n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, protowire.MaxValidNumber, protowire.VarintType), n)
}

// Unmarshal implements encoding.CodecV2.
func (c namingCodec) Unmarshal(data mem.BufferSlice, v any) error {
	in, ok := v.(*incoming)
	if !ok {
		m, ok := v.(proto.Message)
		if !ok {
			return c.CodecV2.Unmarshal(data, v)
		}
		in = &incoming{Message: m}
	}
	m, put := in.Message, []byte(nil)
	in.known = false
	if data.Len() > c.limit {
		put = tooLarge
	} else if err := c.unmarshal(data, in); errors.Is(err, errTooMany) {
		put = tooMany
	} else if err != nil {
		put = unreadable
	}
	if put != nil {
		proto.Reset(m)
		m.ProtoReflect().SetUnknown(put)
	}
	return nil
}

var errTooMany = errors.New("too many items")

func (c namingCodec) unmarshal(data mem.BufferSlice, in *incoming) error {
	m := in.Message
	req, ofStream := m.(*notaryv1.SubmitStreamRequest)
	if data.Len() >= largeMessage && (!ofStream || !beginsWithItems(data)) {
		all := gather(data)
		if ofStream && countItems(all) > maxItems {
			return errTooMany
		}
		if unmarshalInPlace(all, m) {
			return nil
		}
		return proto.Unmarshal(all, m)
	}
	buf := data.MaterializeToBuffer(c.buffers) // grpc's own would be cleared first
	defer buf.Free()
	if ofStream {
		return unmarshalStream(buf.ReadOnlyData(), req, in)
	}
	return proto.Unmarshal(buf.ReadOnlyData(), m)
}

// unmarshalStream reads a message of a stream, of which it keeps no part.
func unmarshalStream(data []byte, req *notaryv1.SubmitStreamRequest, in *incoming) error {
	n := countItems(data)
	if n > maxItems {
		return errTooMany
	}
	if in.known = n > 0 && unmarshalItems(data, req, n); in.known {
		return nil
	}
	return proto.Unmarshal(data, req)
}

// Marshal implements encoding.CodecV2.
func (c namingCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	size := proto.Size(m)
	// The size was computed just now, and nobody alters an answer.
	options := proto.MarshalOptions{UseCachedSize: true}
	if mem.IsBelowBufferPoolingThreshold(size) {
		out, err := options.MarshalAppend(make([]byte, 0, size), m)
		return mem.BufferSlice{mem.SliceBuffer(out)}, err
	}
	buf := c.buffers.Get(size)
	out, err := options.MarshalAppend((*buf)[:0], m)
	if err != nil {
		c.buffers.Put(buf)
		return nil, err
	}
	*buf = out // never more than what was written
	return mem.BufferSlice{mem.NewBuffer(buf, c.buffers)}, nil
}

// hasMark tells whether a message has one of the marks.
func hasMark(m proto.Message, mark []byte) bool {
	return bytes.Equal(m.ProtoReflect().GetUnknown(), mark)
}
