package rpc

import (
	"bytes"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
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
)

func mark(n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, protowire.MaxValidNumber, protowire.VarintType), n)
}

// Unmarshal implements encoding.CodecV2.
func (c namingCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(proto.Message)
	if ok && data.Len() > c.limit {
		proto.Reset(m)
		m.ProtoReflect().SetUnknown(tooLarge)
		return nil
	}
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	if c.unmarshal(data, m) != nil {
		proto.Reset(m)
		m.ProtoReflect().SetUnknown(unreadable)
	}
	return nil
}

func (c namingCodec) unmarshal(data mem.BufferSlice, m proto.Message) error {
	if data.Len() >= largeMessage {
		all := gather(data)
		if unmarshalInPlace(all, m) {
			return nil
		}
		return proto.Unmarshal(all, m)
	}
	buf := data.MaterializeToBuffer(c.buffers) // grpc's own would be cleared first
	defer buf.Free()
	return proto.Unmarshal(buf.ReadOnlyData(), m)
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
