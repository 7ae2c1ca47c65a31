package rpc

import (
	"bytes"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// namingCodec lets bytes that are no message through as an empty message with a
// mark. Where a codec fails, grpc answers at once and in its own words; the mark
// is refused like everything else that is wrong with a message.
type namingCodec struct{ encoding.CodecV2 }

func newCodec() encoding.CodecV2 { return namingCodec{encoding.GetCodecV2("proto")} }

// unreadable is the mark: the highest field number, which no message of ours has.
var unreadable = protowire.AppendVarint(protowire.AppendTag(nil, protowire.MaxValidNumber, protowire.VarintType), 1)

// Unmarshal implements encoding.CodecV2.
func (c namingCodec) Unmarshal(data mem.BufferSlice, v any) error {
	err := c.CodecV2.Unmarshal(data, v)
	if err == nil {
		return nil
	}
	m, ok := v.(proto.Message)
	if !ok {
		return err
	}
	proto.Reset(m)
	m.ProtoReflect().SetUnknown(unreadable)
	return nil
}

// isUnreadable tells whether a message has the mark.
func isUnreadable(m proto.Message) bool {
	return bytes.Equal(m.ProtoReflect().GetUnknown(), unreadable)
}
